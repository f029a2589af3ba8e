package import HTTPMessages
internal import Threads

/// One reply, for whoever writes it down.
package struct Reply: Sendable {
  package let requestID: String
  package let method: HTTPMethod
  package let mark: RequestMark
  package let status: Int
  /// From the parse of the request to the moment its answer goes to the socket.
  package let microseconds: UInt64
}

/// Sees replies before they are sent, on the thread that sends it: it must neither wait nor work long.
package protocol ReplyObserver: Sendable {
  func replied(_ reply: Reply)
  /// Whether it wants to see a reply of this status: most need not be put together for it.
  func wants(status: Int) -> Bool
}

/// What one loop notes of each of its replies, whichever thread sends it.
final class Ledger: Sendable {
  private let block: RequestBlock
  private let observer: (any ReplyObserver)?

  init(_ meter: Meter, observer: (any ReplyObserver)?) {
    block = meter.makeBlock()
    self.observer = observer
  }

  func note(_ call: Call, status: Int) {
    let microseconds = UInt64(max(0, Monotonic.nanoseconds() - call.begun)) / 1000
    block.note(pattern: call.mark.pattern, method: call.method, status: status, microseconds: microseconds)
    guard let observer, observer.wants(status: status) else { return }
    observer.replied(Reply(requestID: call.requestID, method: call.method, mark: call.mark, status: status, microseconds: microseconds))
  }
}
