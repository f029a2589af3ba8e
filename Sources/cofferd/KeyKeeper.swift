internal import EventLog
internal import Service
internal import Threads

/// Makes new versions of tenant keys that have grown old, and brings rows under the newest versions, at its own pace.
final class KeyKeeper: Sendable {
  /// Milliseconds from one look for work to the next, from one look at the age of keys to the next, and from a walk that failed to
  /// the next attempt.
  private static let (look, ages, retry): (Int64, Int64, Int64) = (500, 3_600_000, 60_000)

  private let end = OneTimeEvent()

  /// - Parameter rowsPerSecond: of the re-wrap.
  init(rowsPerSecond: Int, _ service: Service, _ log: QueuedLog) {
    let end = end
    PlainThread.start(named: "coffer-keys") {
      var (sinceAges, rest) = (Self.ages, Int64(0))
      while !end.wait(atMost: Self.look) {
        // What is due waits for the root key.
        if service.isSealed { continue }
        sinceAges += Self.look
        rest -= Self.look
        if sinceAges >= Self.ages {
          Self.rotate(service, log)
          sinceAges = 0
        }
        guard rest <= 0, service.rewrapping.takeRequest() else { continue }
        do throws(ServiceError) {
          let outcome = try Rewrapper(service) { rows in !end.wait(atMost: Int64(rows) * 1000 / Int64(rowsPerSecond)) }.run()
          if let outcome, outcome != Rewrapper.Outcome() {
            log.write(.rowsRewrapped(rows: outcome.rows, unreadable: outcome.unreadable))
          }
        } catch {
          service.rewrapping.ask()
          rest = Self.retry
          // At the end of the process the store refuses, and the next one goes on.
          if !end.wait(atMost: 0) { log.write(.rowsNotRewrapped("the store cannot be used now")) }
        }
      }
    }
  }

  /// A group of rows that is under way is finished or refused by the store's own end.
  func stop() { end.signal() }

  private static func rotate(_ service: Service, _ log: QueuedLog) {
    do {
      let count = try service.rotateOldKEKs(try Desk(service))
      if count > 0 { log.write(.keysRotated(count: count)) }
    } catch {
      // At the next look.
    }
  }
}
