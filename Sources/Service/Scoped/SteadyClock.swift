internal import Threads

/// The time by which data keys age, in Unix milliseconds: a clock that is set back does not take it along (scoped spec, section 6.5).
///
/// It counts on from the highest time that was seen, by the time that the machine has run since. It is ahead of the clock by
/// 24 h at most: one that was once wrong by years expires nothing for good.
package final class SteadyClock: Sendable {
  private static let bound: Int64 = 86_400_000
  /// Two clocks are not read at once: a difference up to this is none.
  private static let tolerance: Int64 = 1_000

  private let uptime: @Sendable () -> Int64
  /// The highest time seen, less the uptime then.
  private let base = Locked<Int64?>(nil)

  package init(uptime: @escaping @Sendable () -> Int64 = Monotonic.milliseconds) { self.uptime = uptime }

  /// - Parameters:
  ///   - now: what the clock says.
  ///   - seen: a time that has been already, as far as is known.
  package func time(now: Int64, seen: Int64 = .min) -> Int64 {
    let uptime = uptime()
    return base.withLock { base in
      let known = max(base.map { $0 + uptime } ?? .min, seen)
      let time = known <= now + Self.tolerance ? now : min(known, now + Self.bound)
      base = time - uptime
      return time
    }
  }
}
