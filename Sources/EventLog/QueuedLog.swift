internal import CShim
internal import Glibc
internal import Threads

/// The lines of a server: handed over by whoever has one, written by a thread of its own, so that a slow reader of the log
/// slows nobody. What does not fit, into the second or into the queue, is counted, and the count is a line.
package final class QueuedLog: Sendable {
  /// Lines a second about failures and refusals: a flood of either must not fill a disk.
  static let linesPerSecond = 10
  /// Lines that wait at most.
  static let queueLimit = 4096

  private struct State {
    var events: [(event: Event, time: Int64)] = []
    var budget = LogBudget(perSecond: QueuedLog.linesPerSecond)
    /// Of their own: nobody hides one behind a flood of refusals.
    var alertBudget = LogBudget(perSecond: QueuedLog.linesPerSecond)
    var leftOut: UInt64 = 0
    var leftOutBefore: UInt64 = 0
    var isClosed = false
  }

  private let log: Log
  private let logsAll: Bool
  private let state = Locked(State())
  private let bell: Int32
  private let ended = OneTimeEvent()

  /// - Parameter logsAll: a line for every request, without a limit.
  package init(_ log: Log, logsAll: Bool) {
    self.log = log
    self.logsAll = logsAll
    bell = eventfd(0, O_NONBLOCK | O_CLOEXEC)
    PlainThread.start(named: "coffer-log") { self.serve() }
  }

  /// False for most requests: nothing need be put together for them.
  package func concerns(status: Int) -> Bool { logsAll || Self.isFailure(status) || Self.isRefusal(status) }

  /// 501 is no failure: it says that a part of the API is not served here.
  private static func isFailure(_ status: Int) -> Bool { status >= 500 && status != 501 }
  private static func isRefusal(_ status: Int) -> Bool { status == 401 || status == 403 }

  /// Never waits for more than another thread's hand-over.
  package func note(_ request: RequestEvent) {
    let event: Event =
      Self.isFailure(request.status) ? .requestFailed(request) : Self.isRefusal(request.status) ? .keyRefused(request) : .request(request)
    add(event) { state, second in logsAll || state.budget.admits(in: second) }
  }

  /// Somebody read a canary. Never waits for more than another thread's hand-over.
  package func note(_ canary: CanaryEvent) { add(.canaryRead(canary)) { state, second in state.alertBudget.admits(in: second) } }

  /// An event of the process: no limit but the queue's.
  package func write(_ event: Event) { add(event) { _, _ in true } }

  private func add(_ event: Event, isAdmitted: (inout State, Int64) -> Bool) {
    guard log.includes(event) else { return }
    let time = log.now()
    let mustRing = state.withLock { state in
      if state.events.count < Self.queueLimit, isAdmitted(&state, time / 1000) {
        state.events.append((event, time))
        return state.events.count == 1
      }
      state.leftOut += 1
      return state.leftOut == 1
    }
    if mustRing { ring() }
  }

  /// Lines that were not written since the start.
  package var leftOut: UInt64 { state.withLock { $0.leftOutBefore + $0.leftOut } }

  /// Writes what waits and ends, or gives up after `milliseconds`: false, and the thread may write still.
  @discardableResult package func close(within milliseconds: Int64) -> Bool {
    state.withLock { $0.isClosed = true }
    ring()
    return ended.wait(atMost: milliseconds)
  }

  private func ring() {
    var one: UInt64 = 1
    _ = unsafe Glibc.write(bell, &one, 8)
  }

  private func serve() {
    var reportedIn: Int64 = .min
    while true {
      var wait = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
      _ = unsafe poll(&wait, 1, state.withLock { $0.leftOut > 0 } ? 1000 : -1)
      var count: UInt64 = 0
      _ = unsafe read(bell, &count, 8)
      let (events, isClosed) = state.withLock { state in
        defer { state.events = [] }
        return (state.events, state.isClosed)
      }
      for (event, time) in events { log.write(event, at: time) }
      // One report a second, so that the reports are no flood either.
      let second = log.now() / 1000
      if second != reportedIn || isClosed, let count = takeLeftOut() {
        log.write(.linesLeftOut(count))
        reportedIn = second
      }
      if isClosed { break }
    }
    ended.signal()
  }

  private func takeLeftOut() -> UInt64? {
    state.withLock { state in
      guard state.leftOut > 0 else { return nil }
      defer {
        state.leftOutBefore += state.leftOut
        state.leftOut = 0
      }
      return state.leftOut
    }
  }
}
