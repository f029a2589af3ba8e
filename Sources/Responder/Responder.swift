internal import Synchronization
internal import Threads

/// What the loops share.
final class ResponderState: Sendable {
  enum Phase: Int, AtomicRepresentable { case serving, draining, stopping }

  private static let longReadLimit = 16

  let meter: Meter
  let observer: (any ReplyObserver)?
  private let currentPhase = Atomic(Phase.serving)
  private let longReads = Atomic(0)

  init(_ meter: Meter, observer: (any ReplyObserver)?) {
    self.meter = meter
    self.observer = observer
  }

  var phase: Phase {
    get { currentPhase.load(ordering: .acquiring) }
    set { currentPhase.store(newValue, ordering: .releasing) }
  }

  func count(_ figure: Meter.Figure) { meter.count(figure) }

  /// False when too many long requests are being read already.
  func startsLongRead() -> Bool {
    if longReads.add(1, ordering: .relaxed).newValue <= Self.longReadLimit { return true }
    endLongRead()
    return false
  }

  func endLongRead() { longReads.subtract(1, ordering: .relaxed) }
}

/// The loops and their life. Knows nothing of secrets: requests go to the handlers it is given.
package final class Responder: Sendable {
  private let shared: ResponderState
  private let inboxes: [Inbox]
  private let ends: [OneTimeEvent]

  /// Starts the loops.
  ///
  /// - Parameters:
  ///   - threads: how many; usually the number of processors.
  ///   - meter: where requests are counted; it knows the patterns that the handlers' marks mean.
  ///   - makeHandler: called once on each loop's thread.
  package init(
    threads: Int, listeners: [Listener], meter: Meter = Meter(), observer: (any ReplyObserver)? = nil,
    makeHandler: @escaping @Sendable () throws -> any RequestHandler
  ) throws {
    shared = ResponderState(meter, observer: observer)
    guard LibFCGI.initialise() else { throw ResponderError.system("FCGX_Init", 0) }
    inboxes = try (0..<max(1, threads)).map { _ throws(ResponderError) in try Inbox() }
    ends = inboxes.map { _ in OneTimeEvent() }
    let failure = FirstFailure()
    let ready = inboxes.map { _ in OneTimeEvent() }
    for (index, inbox) in inboxes.enumerated() {
      let (shared, end, started) = (shared, ends[index], ready[index])
      PlainThread.start(named: "coffer-loop") {
        do {
          let loop = try Loop(index: index, shared: shared, inbox: inbox, listeners: listeners, handler: makeHandler())
          started.signal()
          loop.run()
        } catch {
          failure.note(error)
          started.signal()
        }
        end.signal()
      }
    }
    for started in ready { started.wait() }
    if let error = failure.error {
      stop()
      throw error
    }
  }

  package var figures: ResponderFigures { shared.meter.figures }

  /// Serves the backlog to its end, lets go of the listeners, serves the kept connections until nginx closes them, and
  /// then ends. After `limit` seconds what is left is cut off.
  package func drain(limit: Int64) {
    shared.phase = .draining
    inboxes.forEach { $0.wake() }
    let deadline = Monotonic.milliseconds() + limit * 1000
    for end in ends where !end.wait(atMost: deadline - Monotonic.milliseconds()) {
      stop()
      return
    }
  }

  /// Ends the loops after their current turn.
  package func stop() {
    shared.phase = .stopping
    inboxes.forEach { $0.wake() }
    for end in ends { end.wait() }
  }
}

/// The first error of several threads.
private final class FirstFailure: Sendable {
  private let first = Locked<(any Error)?>(nil)
  func note(_ error: any Error) { first.withLock { $0 = $0 ?? error } }
  var error: (any Error)? { first.withLock { $0 } }
}
