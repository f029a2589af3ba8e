package import HTTPMessages

/// What a loop thread asks of the program. One handler per loop thread, made on that thread and
/// never used by another.
package protocol RequestHandler: AnyObject {
  /// Called before the first request of a loop turn; read transactions start here.
  func turnBegins()
  /// Called when the turn has no more requests, always before the loop blocks.
  func turnEnds()
  func handle(_ request: Request) -> Outcome
  /// The answer to a request that never became one.
  func refuse(_ refusal: RequestRefusal) -> Response
}

package enum Outcome {
  /// Send this now, from the loop thread.
  case now(Response)
  /// The connection leaves the loop; whoever gets the reply slot answers from any thread, once.
  case later(@Sendable (PendingReply) -> Void)
}

/// The right to answer one request that left its loop, exactly once. Dropping it without an answer
/// sends 503, so a lost reply never parks a connection.
package final class PendingReply: Sendable {
  package func send(_ response: Response) {}
  init() {}
}
