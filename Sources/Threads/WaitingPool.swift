internal import CShim
internal import Glibc

/// A few threads for work that waits for other machines, with a bounded queue before them: what does not fit is refused at
/// once. The threads live as long as the process, and give way to those that answer.
///
/// Unchecked: the queue is read and written under `mutex` only, which never moves.
@safe package final class WaitingPool: @unchecked Sendable {
  /// Milliseconds that it waited in the queue.
  package typealias Job = @Sendable (_ waited: Int64) -> Void

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var jobs: [(job: Job, since: Int64)] = []
  private var idle: Int
  private let capacity: Int
  /// What nice(1) calls niceness: beside a thread of the usual 0 such a one gets a tenth of a busy processor.
  private static let niceness: Int32 = 10

  /// - Parameters:
  ///   - capacity: jobs that may wait while every thread is busy.
  package init(threads: Int, capacity: Int, name: StaticString) {
    self.capacity = capacity
    idle = threads
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
    for _ in 0..<threads {
      PlainThread.start(named: name) { [self] in
        // Of this thread alone (setpriority(2), C library/kernel differences). Where it is forbidden nothing is lost but the order.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
        while true {
          let (job, since) = take()
          job(Monotonic.milliseconds() - since)
          unsafe pthread_mutex_lock(mutex)
          idle += 1
          unsafe pthread_mutex_unlock(mutex)
        }
      }
    }
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// False when it was not taken.
  package func run(_ job: @escaping Job) -> Bool {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    guard jobs.count < capacity + idle else { return false }
    jobs.append((job, Monotonic.milliseconds()))
    unsafe pthread_cond_signal(condition)
    return true
  }

  private func take() -> (Job, Int64) {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while jobs.isEmpty { unsafe pthread_cond_wait(condition, mutex) }
    idle -= 1
    let first = jobs.removeFirst()
    return (first.job, first.since)
  }
}
