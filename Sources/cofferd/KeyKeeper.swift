internal import EventLog
internal import Service
internal import Threads

/// Makes new versions of tenant keys that have grown old, and brings rows under the newest versions, at its own pace.
final class KeyKeeper: Sendable {
  /// Milliseconds from one look for work to the next, and from one look at the age of keys to the next.
  private static let (look, ages): (Int64, Int64) = (500, 3_600_000)

  private let end = OneTimeEvent()

  /// - Parameter rowsPerSecond: of the re-wrap.
  init(rowsPerSecond: Int, _ service: Service, _ log: QueuedLog) {
    let end = end
    PlainThread.start(named: "coffer-keys") {
      var sinceAges = Self.ages
      while !end.wait(atMost: Self.look) {
        sinceAges += Self.look
        if sinceAges >= Self.ages {
          Self.rotate(service, log)
          sinceAges = 0
        }
        if service.rewrapping.takeRequest() {
          Self.rewrap(service, log) { rows in !end.wait(atMost: Int64(rows) * 1000 / Int64(rowsPerSecond)) }
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

  private static func rewrap(_ service: Service, _ log: QueuedLog, pause: @escaping (Int) -> Bool) {
    do throws(ServiceError) {
      guard let done = try Rewrapper(service, pause: pause).run() else { return }
      if done.rows > 0 || done.unreadable > 0 { log.write(.rowsRewrapped(rows: done.rows, unreadable: done.unreadable)) }
    } catch {
      service.rewrapping.ask()
      log.write(.rowsNotRewrapped("the store cannot be used now"))
    }
  }
}
