internal import Threads

/// Figures of the group commit, for metrics and benchmarks.
package struct CommitFigures: Sendable, Equatable {
  package var commits: UInt64 = 0
  package var writes: UInt64 = 0
  package var largestBatch: Int = 0
  /// Entries of all audit chains.
  package var auditEntries: UInt64 = 0
  /// Commits by their number of writes: one number for each of `batchBounds`.
  package var batches = [UInt64](repeating: 0, count: batchBounds.count)

  /// The last is the most that one commit takes.
  package static let batchBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256]

  mutating func note(writes count: Int, auditEntries: Int) {
    commits += 1
    writes += UInt64(count)
    largestBatch = max(largestBatch, count)
    self.auditEntries += UInt64(auditEntries)
    batches[Self.batchBounds.firstIndex { count <= $0 } ?? Self.batchBounds.count - 1] += 1
  }
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

  private let clocks: ChangeClocks

  init(_ clocks: ChangeClocks, onFatal: @escaping @Sendable (StoreError) -> Void) {
    self.clocks = clocks
    self.onFatal = onFatal
  }

  var figures: CommitFigures { measured.withLock { $0 } }

  /// Serves the queue until it is closed and empty. Runs on the writer's own thread.
  func serve(_ connection: SQLiteConnection) {
    let transaction = SQLiteTransaction(connection)
    while let batch = queue.take(Self.batchLimit) {
      do throws(StoreError) {
        let attempts = try commit(batch, connection, transaction)
        clocks.commitEnded()
        transaction.end()
        measured.withLock { $0.note(writes: batch.count, auditEntries: transaction.appendedEntries) }
        let erasure = erase(batch, connection)
        for attempt in attempts { attempt.finish(WriteQueue.Outcome(isErased: erasure == .done)) }
        if case .failed(let error) = erasure { return stop(error) }
        queue.leave((batch, attempts))
      } catch {
        abandon(connection)
        clocks.commitEnded()
        transaction.undo()
        for entry in batch { entry.fail(error) }
        // After a failed sync the next one may lie: stop writing, restart, recover. Never try again here.
        if error.endsTheProcess { return stop(error) }
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
    let isAsked = batch.contains { $0.erases }
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
      return error.endsTheProcess ? .failed(error) : .owed
    }
  }

  /// One transaction. Throws when nothing of the batch is durable, or when that is not known.
  ///
  /// Hardly a body fails once it has written something, and a savepoint copies every page that the body changes. So there are
  /// none at first; when one would be needed, everything is undone and each body runs again behind a savepoint of its own. A body
  /// of `erase` runs once only.
  private func commit(_ batch: [WriteQueue.Entry], _ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError)
    -> [WriteQueue.Attempt]
  {
    let attempts: [WriteQueue.Attempt]
    try begin(connection, transaction)
    if batch.contains(where: { $0.erases }) {
      attempts = try runApart(batch, connection, transaction)
    } else if let done = try run(batch, connection, transaction) {
      attempts = done
    } else {
      try connection.execute("ROLLBACK")
      transaction.undo()
      try begin(connection, transaction)
      attempts = try runApart(batch, connection, transaction)
    }
    clocks.commitBegins(of: transaction)
    try connection.execute("COMMIT")
    return attempts
  }

  private func begin(_ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError) {
    try connection.execute("BEGIN IMMEDIATE")
    transaction.begin()
  }

  /// nil when a body failed that had changed rows.
  private func run(_ batch: [WriteQueue.Entry], _ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError)
    -> [WriteQueue.Attempt]?
  {
    var attempts: [WriteQueue.Attempt] = []
    attempts.reserveCapacity(batch.count)
    for entry in batch {
      let changed = connection.allChangedRows
      let attempt = try run(entry, connection, transaction)
      if attempt.failed, connection.allChangedRows != changed { return nil }
      attempts.append(attempt)
    }
    return attempts
  }

  private func runApart(_ batch: [WriteQueue.Entry], _ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError)
    -> [WriteQueue.Attempt]
  {
    var attempts: [WriteQueue.Attempt] = []
    for entry in batch {
      try connection.execute("SAVEPOINT body")
      let appended = transaction.appendedEntries
      let attempt = try run(entry, connection, transaction)
      if attempt.failed {
        try connection.execute("ROLLBACK TO body")
        transaction.undo(leaving: appended)
      }
      try connection.execute("RELEASE body")
      attempts.append(attempt)
    }
    return attempts
  }

  /// Throws when the failure is one of the whole transaction.
  private func run(_ entry: WriteQueue.Entry, _ connection: SQLiteConnection, _ transaction: SQLiteTransaction) throws(StoreError)
    -> WriteQueue.Attempt
  {
    let attempt = entry.run(transaction)
    // Some failures end the whole transaction (full disk); then the batch is gone.
    guard connection.isInTransaction else { throw attempt.storeFailure ?? .unavailable(.ioError) }
    switch attempt.storeFailure {
    case .unavailable, .unknownOutcome, .corrupt: throw attempt.storeFailure ?? .unavailable(.ioError)
    case nil, .conflict, .busy, .newerSchema, .locked, .networkFileSystem: return attempt
    }
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
