internal import Threads

/// Figures of the group commit, for metrics and benchmarks.
package struct CommitFigures: Sendable, Equatable {
  package var commits: UInt64 = 0
  package var writes: UInt64 = 0
  package var largestBatch: Int = 0
}

/// The writer: one thread, one connection, many bodies to one durable commit.
final class SQLiteWriter: Sendable {
  private static let batchLimit = 256
  private static let queueLimit = 8192

  let queue = WriteQueue(capacity: queueLimit)
  private let onFatal: @Sendable (StoreError) -> Void
  /// Removed rows are in the log still: a reader stood in the way when it was to be emptied.
  private let owesErasure = Locked(false)
  private let measured = Locked(CommitFigures())

  init(onFatal: @escaping @Sendable (StoreError) -> Void) { self.onFatal = onFatal }

  var figures: CommitFigures { measured.withLock { $0 } }

  /// Serves the queue until it is closed and empty. Runs on the writer's own thread.
  func serve(_ connection: SQLiteConnection) {
    let transaction = SQLiteTransaction(connection)
    while let batch = queue.take(Self.batchLimit) {
      do throws(StoreError) {
        let attempts = try commit(batch, connection, transaction)
        measured.withLock {
          $0.commits += 1
          $0.writes += UInt64(batch.count)
          $0.largestBatch = max($0.largestBatch, batch.count)
        }
        let erasure = erase(batch, connection)
        for attempt in attempts { attempt.finish(WriteQueue.Outcome(isErased: erasure == .done)) }
        if case .failed(let error) = erasure { return stop(error) }
      } catch {
        abandon(connection)
        transaction.forgetHeads()
        for entry in batch { entry.fail(error) }
        // After a failed sync the next one may lie: stop writing, restart, recover. Never try again here.
        if error == .unknownOutcome || error == .corrupt { return stop(error) }
      }
    }
  }

  private enum Erasure: Equatable {
    case notAsked, done, owed
    /// What was committed stands; nothing more may be written.
    case failed(StoreError)
  }

  /// Empties the log when this batch or an earlier one removed what must leave the files, and no reader stands in the way.
  private func erase(_ batch: [WriteQueue.Entry], _ connection: SQLiteConnection) -> Erasure {
    let isAsked = batch.contains(where: \.erases)
    let isOwed = owesErasure.withLock { owes in
      owes = owes || isAsked
      return owes
    }
    guard isOwed else { return .notAsked }
    do throws(StoreError) {
      let isDone = try connection.truncateLog(waits: isAsked)
      owesErasure.withLock { $0 = !isDone }
      return isDone ? .done : .owed
    } catch {
      return error == .unknownOutcome || error == .corrupt ? .failed(error) : .owed
    }
  }

  /// One transaction. Throws when nothing of the batch is durable, or when that is not known.
  private func commit(_ batch: [WriteQueue.Entry], _ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError)
    -> [WriteQueue.Attempt]
  {
    try connection.execute("BEGIN IMMEDIATE")
    var attempts: [WriteQueue.Attempt] = []
    for entry in batch {
      try connection.execute("SAVEPOINT body")
      let attempt = entry.run(transaction)
      // Some failures end the whole transaction (full disk); then the batch is gone.
      guard connection.isInTransaction else { throw attempt.storeFailure ?? .unavailable(.ioError) }
      if attempt.failed {
        switch attempt.storeFailure {
        case .unavailable, .unknownOutcome, .corrupt: throw attempt.storeFailure ?? .unavailable(.ioError)
        case nil, .conflict, .busy, .newerSchema, .locked, .networkFileSystem:
          try connection.execute("ROLLBACK TO body")
          transaction.forgetHeads()
        }
      }
      try connection.execute("RELEASE body")
      attempts.append(attempt)
    }
    try connection.execute("COMMIT")
    return attempts
  }

  private func abandon(_ connection: SQLiteConnection) {
    guard connection.isInTransaction else { return }
    try? connection.execute("ROLLBACK")
  }

  private func stop(_ error: StoreError) {
    queue.close()
    while let rest = queue.take(Self.batchLimit) {
      for entry in rest { entry.fail(.unavailable(.ioError)) }
    }
    onFatal(error)
  }
}
