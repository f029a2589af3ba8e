package import Glibc

/// A value that one thread at a time may use.
///
/// A POSIX mutex, because the thread sanitizer knows it; the standard library's futex lock looks to it like a race.
/// Not recursive: taking it twice on one thread waits for ever.
///
/// Unchecked: `value` is touched under `mutex` only, whose address never moves.
@safe package final class Locked<Value: Sendable>: @unchecked Sendable {
  @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
  @usableFromInline var value: Value

  package init(_ value: Value) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    self.value = value
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Inlined: made for its caller's types, it costs the lock and nothing else.
  @inlinable package func withLock<Result, Failure: Error>(_ body: (inout Value) throws(Failure) -> Result) throws(Failure) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
