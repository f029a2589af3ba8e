import Service
import Testing
import Threads

/// Data keys age by the time that passes, whatever becomes of the machine's clock.
@Suite struct SteadyClockTests {
  private static let (start, hour, day): (Int64, Int64, Int64) = (1_795_478_400_000, 3_600_000, 86_400_000)
  private let uptime: Locked<Int64>
  private let clock: SteadyClock

  init() {
    let uptime = Locked<Int64>(5_000)
    self.uptime = uptime
    clock = SteadyClock(uptime: { uptime.withLock { $0 } })
  }

  private func pass(_ milliseconds: Int64) { uptime.withLock { $0 += milliseconds } }

  @Test func itIsTheClockWhileThatGoesOn() {
    for step in Int64(0)..<5 {
      #expect(clock.time(now: Self.start + step * Self.hour) == Self.start + step * Self.hour)
      pass(Self.hour)
    }
    // Set forward; and what two readings differ by.
    #expect(clock.time(now: Self.start + Self.day) == Self.start + Self.day)
    #expect(clock.time(now: Self.start + Self.day - 400) == Self.start + Self.day - 400)
  }

  @Test func aClockThatIsSetBackDoesNotTakeItAlong() {
    _ = clock.time(now: Self.start + 2 * Self.hour)
    #expect(clock.time(now: Self.start) == Self.start + 2 * Self.hour)
    pass(Self.hour)
    #expect(clock.time(now: Self.start + Self.hour) == Self.start + 3 * Self.hour)
    #expect(clock.time(now: Self.start - 3 * Self.hour) == Self.start + 3 * Self.hour)
  }

  @Test func whatWasSeenElsewhereCounts() {
    #expect(clock.time(now: Self.start, seen: Self.start + Self.hour) == Self.start + Self.hour)
    // Also when nobody tells it any more.
    #expect(clock.time(now: Self.start) == Self.start + Self.hour)
  }

  @Test func aClockThatWasWrongByYearsIsForgotten() {
    let wrong = Self.start + 80 * 365 * Self.day
    #expect(clock.time(now: wrong) == wrong)
    #expect(clock.time(now: Self.start) == Self.start + Self.day)
    pass(Self.hour)
    #expect(clock.time(now: Self.start + Self.hour) == Self.start + Self.day + Self.hour)
    #expect(clock.time(now: Self.start + 2 * Self.day) == Self.start + 2 * Self.day)
  }
}
