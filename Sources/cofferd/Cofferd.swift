internal import AdminAPI
internal import Configuration
internal import ConfiguredKeys
internal import EventLog
internal import FastCGIClient
internal import Gateway
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import Responder
internal import SecretMemory
internal import Service
internal import SettingsAPI
internal import SocketRelay
internal import Store
internal import Threads

/// The responder's process: reads its configuration, opens the store, serves, restarts and stops.
///
/// Exit codes: 0 stopped or replaced, 64 wrong usage or configuration, 66 the store or a key cannot be used, 70 the store
/// failed while serving, 71 the system refused a socket or a thread.
@main
enum Cofferd {
  static func main() {
    Signals.block()
    // First: without dumps the kernel shows /proc/self to root alone.
    let environment = EnvironmentBlock.entries()
    Hardening.apply()
    let configuration: Configuration
    do {
      configuration = try Configuration.load(
        arguments: Array(CommandLine.arguments.dropFirst()), environment: environment, readFile: ConfigurationFiles.read)
    } catch {
      Log(format: .auto, level: .info, now: Clock.milliseconds).write(.startRefused(error.message))
      exit(64)
    }
    let successor = SuccessorLaunch(environment: environment, secretNames: configuration.secretVariableNames)
    EnvironmentBlock.scrub(configuration.secretVariableNames)
    let log = Log(format: configuration.logFormat.value, level: configuration.logLevel.value, now: Clock.milliseconds)
    for warning in configuration.warnings { log.write(.warning(warning)) }
    let lines = QueuedLog(log, logsAll: configuration.logsRequests.value)
    let code = Server(configuration, lines, successor).run()
    lines.close(within: 1000)
    exit(code)
  }
}

/// The parts of a running server, put together in the order in which a failure costs least.
struct Server {
  private let configuration: Configuration
  private let log: QueuedLog
  private let successor: SuccessorLaunch

  init(_ configuration: Configuration, _ log: QueuedLog, _ successor: SuccessorLaunch) {
    self.configuration = configuration
    self.log = log
    self.successor = successor
  }

  func run() -> Int32 {
    do {
      let store = try openStore()
      return try serve(try service(of: store), store)
    } catch let error as StartError {
      log.write(.startRefused(error.message))
      return 66
    } catch let error as KeyFile.Failure {
      log.write(.startRefused(error.storeMessage))
      return 66
    } catch let error as RootKeySource.Failure {
      log.write(.startRefused(error.message))
      return 66
    } catch let error as ResponderError {
      log.write(.startRefused(error.message))
      return 71
    } catch {
      log.write(.startRefused("a system resource could not be had"))
      return 71
    }
  }

  private func openStore() throws -> SQLiteStore {
    let log = log
    let onFatal: @Sendable (StoreError) -> Void = { error in
      log.write(.storeFailed(StartError.store(error).message))
      log.close(within: 1000)
      _exit(70)
    }
    let directory = configuration.directory.value + "/store"
    // Never made here: an empty store in the place of one that was moved would hide the loss.
    guard unsafe access(directory + "/" + StoreFile.name, F_OK) == 0 else { throw StartError.notInitialised }
    let control = FastCGIClient(path: configuration.controlSocket.value, timeout: 5)
    var patience = Self.lockPatience
    while true {
      do throws(StoreError) {
        return try SQLiteStore(
          directory: directory, lock: successor.isSuccessor ? .awaited : .required,
          allowsNetworkFileSystem: configuration.allowsNetworkFilesystem.value, onFatal: onFatal)
      } catch {
        // A command of the operator's has the store for a moment; a cofferd has it for good, and answers.
        guard case .locked = error, patience > 0, !control.isReachable() else { throw StartError.store(error) }
        usleep(UInt32(Self.lockPause) * 1000)
        patience -= Self.lockPause
      }
    }
  }

  /// Milliseconds that a command may have the store, and between two tries.
  private static let (lockPatience, lockPause) = (2_000, 50)

  /// A function of its own: beside the service's, no copy of the root key outlives it.
  private func service(of store: SQLiteStore) throws -> Service {
    let source = try configuration.rootKeySource
    let usual = try source.read()
    let files = configuration.rootKeyFiles
    let root = try Service.rootKey(of: store, usual: usual, files)
    if root.id != usual.id, !configuration.managesRootKeyFile { log.write(.warning(.rootKeyNotMoved(path: files.next))) }
    return try Service(
      store: store, root: root, wire: try configuration.wireRing, options: options(source), waits: !successor.isSuccessor,
      now: Clock.milliseconds)
  }

  private func options(_ source: RootKeySource) -> Service.Options {
    Service.Options(
      environmentKeys: configuration.sessionKeys, isOpen: configuration.isInsecureOpen.value,
      exposureAudit: configuration.auditExposures.value == .batched ? .batched : .beforeReply,
      wireKeyFiles: configuration.wireKeyFiles, rootKeyFiles: configuration.rootKeyFiles, rootKeySource: source,
      conversationLife: Int64(configuration.agentServer.conversationMinutes.value) * 60_000,
      onCanary: { [log] in log.note(CanaryEvent($0)) },
      onSealing: { [log] in log.write(Event($0)) })
  }

  private func serve(_ service: Service, _ store: SQLiteStore) throws -> Int32 {
    let pattern = configuration.corsOriginPattern?.value
    var matches: (@Sendable (String) -> Bool)?
    if let pattern { matches = { pattern.matches($0) } }
    let cors = CORSPolicy(
      origins: configuration.corsOrigins.value, dockerHost: configuration.dockerHost?.value, matchesPattern: matches)
    let info = ServerInfo(release: Release.version, started: Clock.milliseconds())
    let meter = Meter(patterns: Handler.patterns)
    let sockets = Locked<SocketRelay?>(nil)
    let gauges = Gauges(meter: meter, sockets: sockets, store: store, directory: configuration.directory.value, log: log)
    let facts = AdminFacts(
      release: Release.version, started: Clock.milliseconds(), processID: getpid(), figures: { gauges.read() })
    let prefix = configuration.webURL.map { PathPrefix(url: $0.value) }
    let conversations = try conversationGateway()
    let threads = configuration.threads.value == 0 ? Processors.count : configuration.threads.value
    Heap.share(beside: threads)
    let responder = try Responder(
      threads: threads, listeners: try listeners(), meter: meter, observer: ReplyWriter(log, patterns: meter.patterns)
    ) {
      try Handler(service, cors: cors, info: info, facts: facts, prefix: prefix, conversations: conversations)
    }
    let relay = try socketRelay(service, conversations)
    sockets.withLock { $0 = relay }
    try? PIDFile.write(directory: configuration.directory.value)
    log.write(.started(version: Release.version, socket: configuration.socket.value, threads: threads))
    successor.tellReady()
    let retention = Retention(days: configuration.auditRetentionDays.value, service, facts, log)
    let heads = HeadTeller(minutes: configuration.auditHeadMinutes.value, to: try headWebhook(), service, log)
    let keeper = KeyKeeper(rowsPerSecond: configuration.rewrapRows.value, service, log)
    waitForEnd(responder, service)
    log.write(.draining)
    retention?.stop()
    heads?.stop()
    keeper.stop()
    // Long before the others: what it tells the clients takes a round trip, and they come again to the successor.
    relay.drain(limit: 3)
    responder.drain(limit: 10)
    store.close()
    log.write(.stopped(requests: responder.figures.requests))
    return 0
  }

  private func headWebhook() throws -> HeadTeller.Webhook? {
    guard let url = configuration.auditHeadWebhook?.value else { return nil }
    let token = try configuration.auditHeadWebhookKeyFile.map { try KeyFile.read($0.value).withoutLineEnd }
    return HeadTeller.Webhook(url: url, token: token)
  }

  /// nil when no agent server is configured.
  private func conversationGateway() throws -> ConversationGateway? {
    let settings = configuration.agentServer
    guard let named = settings.servers?.value else { return nil }
    let servers = try named.map { entry in
      let key = try settings.keyFile(for: entry.name).map { try KeyFile.read($0).withoutLineEnd }
      let server =
        switch entry.value {
        case .http(let origin): AgentServer(origin: origin, key: key, deadline: settings.deadline.value)
        case .unix(let path): AgentServer(unixSocket: path, key: key, deadline: settings.deadline.value)
        }
      return (entry.name, server)
    }
    let lookups = ConversationLookups(url: settings.lookupURL.value, takesValues: settings.secrets.value == .lookup)
    return ConversationGateway(AgentServers(servers), lookups: lookups)
  }

  private func socketRelay(_ service: Service, _ conversations: ConversationGateway?) throws -> SocketRelay {
    let settings = configuration.agentServer
    let servers = try conversations?.servers.all.map { named in
      let server = named.gateway.server
      guard let address = server.unixSocket.map({ .unix($0) }) ?? server.origin.flatMap(AgentAddress.init) else {
        throw ResponderError.system("agent-server", EINVAL)
      }
      return (address: address, key: server.key)
    }
    let listener = try Listener.bind(
      settings.relaySocket.value, mode: configuration.socketMode.value, allowedUIDs: configuration.allowedUIDs.map { Set($0.value) })
    let log = log
    let options = SocketRelay.Options(agentServers: servers ?? [], limit: settings.relayLimit.value) { reply in
      guard log.concerns(status: reply.status) else { return }
      log.note(
        RequestEvent(
          requestID: reply.requestID, method: "GET", route: "/sockets/…", status: reply.status, microseconds: reply.microseconds,
          tenant: reply.tenant, keyID: reply.keyID))
    }
    return try SocketRelay(listener, options) { try SocketGate(service, conversations) }
  }

  private func listeners() throws -> [Listener] {
    let uids = configuration.allowedUIDs.map { Set($0.value) }
    let main =
      try Listener.inherited(STDIN_FILENO, allowedUIDs: uids)
      ?? Listener.bind(configuration.socket.value, mode: configuration.socketMode.value, allowedUIDs: uids)
    return [main, try Listener.bindControl(configuration.controlSocket.value)]
  }

  /// Returns when the process is to end: told so, or replaced by a successor that serves.
  private func waitForEnd(_ responder: Responder, _ service: Service) {
    while true {
      switch Signals.wait() {
      case .end: return
      case .restart:
        log.write(.restartRequested)
        // The successor reads the root key once: it must stay what it is from here on.
        while !service.holdRootKey() { usleep(20_000) }
        if let pid = successor.launch() {
          log.write(.successorReady(pid: pid))
          return
        }
        service.releaseRootKey()
        log.write(.restartFailed)
      }
    }
  }
}
