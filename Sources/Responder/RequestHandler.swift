package import HTTPMessages

/// What a loop thread asks of the program. One handler per loop thread, made on that thread and
/// never used by another.
package protocol RequestHandler: AnyObject {
  /// Called before each request: what it reads must be at least as new as this moment. A turn goes on reading requests that were
  /// sent while it ran, perhaps because of an answer that another thread gave meanwhile.
  func requestBegins()
  /// Called when a turn of the loop has no more requests, always before the loop blocks.
  func turnEnds()
  /// Called at each pass of the loop, at least once a second, also when there is no request.
  func passes()
  func handle(_ request: Request) -> Answer
  /// What the request turned out to be that was handled last; asked before the next one.
  var lastMark: RequestMark { get }
  /// The answer to a request that never became one.
  func refuse(_ refusal: RequestRefusal, requestID: String) -> Response
  /// The answer when whoever was to answer later has dropped the request.
  var abandoned: Response { get }
}

extension RequestHandler {
  package func passes() {}
  package var lastMark: RequestMark { RequestMark() }
}

/// Why the responder cannot start.
package enum ResponderError: Error, Sendable, Equatable {
  /// A unix socket's path holds at most 107 bytes.
  case pathTooLong(String)
  case system(StaticString, Int32)

  package static func == (left: ResponderError, right: ResponderError) -> Bool {
    switch (left, right) {
    case (.pathTooLong(let a), .pathTooLong(let b)): a == b
    case (.system(let a, let x), .system(let b, let y)): "\(a)" == "\(b)" && x == y
    case (.pathTooLong, _), (.system, _): false
    }
  }
}
