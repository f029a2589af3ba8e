internal import AdminAPI
internal import EventLog
internal import Service
internal import Threads

/// Cuts old audit entries once a day, when the configuration says how long they are kept.
final class Retention: Sendable {
  /// Milliseconds from the start to the first cut, from a cut to the next, and until a walk that goes on is asked for again.
  private static let (first, period, pause): (Int64, Int64, Int64) = (60_000, 86_400_000, 60_000)

  private let end = OneTimeEvent()

  /// nil when they are kept for ever.
  init?(days: Int, _ service: Service, _ facts: AdminFacts, _ log: QueuedLog) {
    guard days > 0 else { return nil }
    let end = end
    PlainThread.start(named: "coffer-retention") {
      var wait = Self.first
      while !end.wait(atMost: wait) {
        if service.isSealed {
          wait = Self.pause
          continue
        }
        wait = facts.walkAlone { Self.cut(days, service, log) } ? Self.period : Self.pause
      }
    }
  }

  /// What a cut has begun is finished or refused by the store's own end.
  func stop() { end.signal() }

  private static func cut(_ days: Int, _ service: Service, _ log: QueuedLog) {
    do throws(ServiceError) {
      let entries = try service.trimAudits(keepingDays: days)
      if entries > 0 { log.write(.auditCut(entries: entries)) }
    } catch {
      if case .obstructed(let obstacle) = error {
        log.write(.auditNotCut(obstacle.text))
      } else {
        log.write(.auditNotCut("the store cannot be used now"))
      }
    }
  }
}
