internal import Glibc

/// Time that only counts on: whoever sets the machine's clock does not change it. It says nothing about the time of day (CLOCK_MONOTONIC,
/// clock_gettime(2)).
package enum Monotonic {
  package static func nanoseconds() -> Int64 {
    let time = now()
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  package static func milliseconds() -> Int64 { nanoseconds() / 1_000_000 }

  /// So many milliseconds from now.
  static func deadline(in milliseconds: Int64) -> timespec {
    var deadline = now()
    let nanoseconds = Int64(deadline.tv_nsec) + max(0, milliseconds) % 1000 * 1_000_000
    deadline.tv_sec += Int(max(0, milliseconds) / 1000 + nanoseconds / 1_000_000_000)
    deadline.tv_nsec = Int(nanoseconds % 1_000_000_000)
    return deadline
  }

  private static func now() -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time
  }
}
