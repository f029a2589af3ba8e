internal import HTTPMessages
internal import Synchronization

/// The right to answer one request that left its loop: used once, from any thread. Dropped without use, it sends the
/// handler's `abandoned`, so that a lost answer never parks a connection.
final class PendingReply: Sendable {
  private let connection: Connection
  private let call: Call
  private let abandoned: Response
  private let isAnswered = Atomic(false)

  init(_ connection: Connection, _ call: Call, abandoned: Response) {
    self.connection = connection
    self.call = call
    self.abandoned = abandoned
  }

  deinit { send(abandoned) }

  func send(_ response: Response) {
    guard !isAnswered.exchange(true, ordering: .acquiringAndReleasing) else { return }
    if connection.reply(response, to: call) { connection.inbox.add(connection) }
  }
}
