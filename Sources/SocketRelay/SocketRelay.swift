internal import CShim
internal import Glibc
package import Responder
package import SecretMemory
internal import Synchronization
internal import Threads

/// Relays WebSockets to the agent server on a thread of its own (settings spec, section 10.10): the client's key is judged here, by header,
/// query or first frame, and the agent server sees its own key alone.
package final class SocketRelay: Sendable {
  package struct Options: Sendable {
    /// Where they are, and their own session keys, which no client ever sees. Without any every socket is refused.
    package let agentServers: [(address: AgentAddress, key: SecretBytes?)]
    /// Sockets that may be open at once.
    package let limit: Int
    /// Called on the relay's thread for every handshake: it must not wait.
    package let onReply: @Sendable (SocketReply) -> Void

    package init(
      agentServers: [(address: AgentAddress, key: SecretBytes?)], limit: Int, onReply: @escaping @Sendable (SocketReply) -> Void = { _ in }
    ) {
      self.agentServers = agentServers
      self.limit = limit
      self.onReply = onReply
    }
  }

  package struct Figures: Sendable, Equatable {
    package let open: UInt64
    package let opened: UInt64
    package let refused: UInt64
  }

  private let shared: RelayState
  private let end = OneTimeEvent()

  /// Starts the thread.
  ///
  /// - Parameter makeJudge: called once, on that thread.
  package init(_ listener: Listener, _ options: Options, makeJudge: @escaping @Sendable () throws -> any SocketJudge) throws {
    shared = try RelayState(options)
    let failure = Locked<(any Error)?>(nil)
    let started = OneTimeEvent()
    let (shared, end) = (shared, end)
    PlainThread.start(named: "coffer-sockets") {
      do {
        let loop = try RelayLoop(shared, listener, makeJudge())
        started.signal()
        loop.run()
      } catch {
        failure.withLock { $0 = error }
        started.signal()
      }
      end.signal()
    }
    started.wait()
    if let error = failure.withLock({ $0 }) { throw error }
  }

  package var figures: Figures { shared.figures }

  /// Takes no more, tells every client that it should come again, and ends. After `limit` seconds what is left is cut off.
  package func drain(limit: Int64) {
    shared.isDraining = true
    shared.wake()
    if end.wait(atMost: limit * 1000) { return }
    shared.isStopping = true
    shared.wake()
    end.wait()
  }
}

/// What the relay's thread shares with others.
final class RelayState: Sendable {
  let options: SocketRelay.Options
  let bell: Int32
  private let draining = Atomic(false)
  private let stopping = Atomic(false)
  private let openedCount = Atomic<UInt64>(0)
  private let closedCount = Atomic<UInt64>(0)
  private let refusedCount = Atomic<UInt64>(0)
  private let found = Locked<[(client: Int32, begun: Int64, addresses: [AgentAddress.Resolved])]>([])

  init(_ options: SocketRelay.Options) throws(ResponderError) {
    self.options = options
    bell = eventfd(0, O_NONBLOCK | O_CLOEXEC)
    guard bell >= 0 else { throw .system("eventfd", errno) }
  }

  deinit { close(bell) }

  var isDraining: Bool {
    get { draining.load(ordering: .acquiring) }
    set { draining.store(newValue, ordering: .releasing) }
  }
  var isStopping: Bool {
    get { stopping.load(ordering: .acquiring) }
    set { stopping.store(newValue, ordering: .releasing) }
  }

  func wake() {
    var one: UInt64 = 1
    _ = unsafe write(bell, &one, 8)
  }

  func countOpened() { openedCount.add(1, ordering: .relaxed) }
  func countClosed() { closedCount.add(1, ordering: .relaxed) }
  func countRefused() { refusedCount.add(1, ordering: .relaxed) }

  var figures: SocketRelay.Figures {
    let (opened, closed) = (openedCount.load(ordering: .relaxed), closedCount.load(ordering: .relaxed))
    return SocketRelay.Figures(open: opened - min(opened, closed), opened: opened, refused: refusedCount.load(ordering: .relaxed))
  }

  /// Asks for the address of a name on a thread that may wait. The descriptor and its time tell the relay for whom.
  func resolve(_ address: AgentAddress, for client: Int32, begun: Int64) {
    PlainThread.start(named: "coffer-resolve") {
      let addresses = address.resolved(isNumeric: false)
      self.found.withLock { $0.append((client, begun, addresses)) }
      self.wake()
    }
  }

  func takeFound() -> [(client: Int32, begun: Int64, addresses: [AgentAddress.Resolved])] {
    var count: UInt64 = 0
    _ = unsafe read(bell, &count, 8)
    return found.withLock { found in
      defer { found = [] }
      return found
    }
  }
}
