internal import Glibc

/// What waits for the writer. Bounded, so that a store that stalls answers "busy" and does not grow without end.
///
/// Unchecked: every member is read and written under `mutex` only, which never moves.
@safe final class WriteQueue: @unchecked Sendable {
  /// One queued body with what to do after its batch.
  struct Entry: Sendable {
    /// Whether what the body removes must leave the files too.
    var erases = false
    /// Runs in the transaction; the result is kept for `finish`.
    let run: @Sendable (any StoreTransaction) -> Attempt
    /// The batch did not become durable, or was never tried.
    let fail: @Sendable (StoreError) -> Void
  }

  /// What running a body gave: how to tell the caller, and whether its effects stay.
  struct Attempt: Sendable {
    let failed: Bool
    /// A failure of the store itself rather than of the body.
    let storeFailure: StoreError?
    let finish: @Sendable (Outcome) -> Void
  }

  /// What became of a batch besides its commit.
  struct Outcome: Sendable {
    /// Nothing of what was removed is in the files any more. False when nobody asked for it.
    var isErased = false
  }

  /// A batch that is over: nothing is done with it but to free it.
  ///
  /// What requests brought was allocated by those who add entries. They free it, too: the writer has less to do, and each thread's heap gets
  /// back what it gave.
  typealias Remains = (batch: [Entry], attempts: [Attempt])

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var entries: [Entry] = []
  private var remains: [Remains] = []
  private var isClosed = false
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// nil when taken; otherwise why not.
  func add(_ entry: Entry) -> StoreError? {
    // Freed after the lock was given back.
    var remains: Remains?
    defer { withExtendedLifetime(remains) {} }
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    if isClosed { return .unavailable(.draining) }
    if entries.count >= capacity { return .busy }
    entries.append(entry)
    remains = self.remains.popLast()
    unsafe pthread_cond_signal(condition)
    return nil
  }

  /// Up to `limit` entries in order; waits for the first. nil once closed and empty.
  func take(_ limit: Int) -> [Entry]? {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while entries.isEmpty {
      // What is left of secrets does not wait for the next request.
      if !remains.isEmpty {
        dropRemains()
        continue
      }
      if isClosed { return nil }
      unsafe pthread_cond_wait(condition, mutex)
    }
    let batch = Array(entries.prefix(limit))
    entries.removeFirst(batch.count)
    return batch
  }

  private func dropRemains() {
    var dropped = remains
    remains = []
    unsafe pthread_mutex_unlock(mutex)
    dropped.removeAll()
    unsafe pthread_mutex_lock(mutex)
  }

  /// To be called by the writer when a batch is over.
  func leave(_ remains: consuming Remains) {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    self.remains.append(remains)
  }

  /// Nothing more is taken in; what waits is still served.
  func close() {
    unsafe pthread_mutex_lock(mutex)
    isClosed = true
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(mutex)
  }

  var count: Int {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return entries.count
  }
}
