internal import Glibc
internal import Synchronization
internal import Threads

/// Counts since the start.
package struct ResponderFigures: Sendable, Equatable {
  package var requests: UInt64 = 0
  package var connections: UInt64 = 0
  /// Requests that never became one.
  package var refusals: UInt64 = 0
  /// Connections closed for what is no request.
  package var refusedRecords: UInt64 = 0
  /// Connections closed for their uid.
  package var refusedPeers: UInt64 = 0
  /// Times no descriptor was left.
  package var exhaustions: UInt64 = 0
}

/// What the loops share.
final class ResponderState: Sendable {
  enum Phase: Int, AtomicRepresentable { case serving, draining, stopping }

  private static let longReadLimit = 16

  private let currentPhase = Atomic(Phase.serving)
  private let requests = Atomic<UInt64>(0)
  private let connections = Atomic<UInt64>(0)
  private let refusals = Atomic<UInt64>(0)
  private let refusedRecords = Atomic<UInt64>(0)
  private let refusedPeers = Atomic<UInt64>(0)
  private let exhaustions = Atomic<UInt64>(0)
  private let longReads = Atomic(0)

  var phase: Phase {
    get { currentPhase.load(ordering: .acquiring) }
    set { currentPhase.store(newValue, ordering: .releasing) }
  }

  var figures: ResponderFigures {
    ResponderFigures(
      requests: requests.load(ordering: .relaxed), connections: connections.load(ordering: .relaxed),
      refusals: refusals.load(ordering: .relaxed), refusedRecords: refusedRecords.load(ordering: .relaxed),
      refusedPeers: refusedPeers.load(ordering: .relaxed), exhaustions: exhaustions.load(ordering: .relaxed))
  }

  enum Figure { case request, connection, refusal, refusedRecord, refusedPeer, exhaustion }

  func count(_ figure: Figure) {
    switch figure {
    case .request: requests.add(1, ordering: .relaxed)
    case .connection: connections.add(1, ordering: .relaxed)
    case .refusal: refusals.add(1, ordering: .relaxed)
    case .refusedRecord: refusedRecords.add(1, ordering: .relaxed)
    case .refusedPeer: refusedPeers.add(1, ordering: .relaxed)
    case .exhaustion: exhaustions.add(1, ordering: .relaxed)
    }
  }

  /// False when too many long requests are being read already.
  func startsLongRead() -> Bool {
    if longReads.add(1, ordering: .relaxed).newValue <= Self.longReadLimit { return true }
    endLongRead()
    return false
  }

  func endLongRead() { longReads.subtract(1, ordering: .relaxed) }

  func monotonicMilliseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

/// The loops and their life. Knows nothing of secrets: requests go to the handlers it is given.
package final class Responder: Sendable {
  private let shared = ResponderState()
  private let inboxes: [Inbox]
  private let ends: [OneTimeEvent]

  /// Starts the loops.
  ///
  /// - Parameters:
  ///   - threads: how many; usually the number of processors.
  ///   - makeHandler: called once on each loop's thread.
  package init(
    threads: Int, listeners: [Listener], makeHandler: @escaping @Sendable () throws -> any RequestHandler
  ) throws {
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

  package var figures: ResponderFigures { shared.figures }

  /// Serves the backlog to its end, lets go of the listeners, serves the kept connections until nginx closes them, and
  /// then ends. After `limit` seconds what is left is cut off.
  package func drain(limit: Int64) {
    shared.phase = .draining
    inboxes.forEach { $0.wake() }
    let deadline = shared.monotonicMilliseconds() + limit * 1000
    for end in ends where !end.wait(atMost: deadline - shared.monotonicMilliseconds()) {
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
