internal import HTTPMessages
internal import Service
internal import Store
internal import Threads

/// The figures that cost a walk over the keys: kept for a minute, so that no scrape, however often, costs more than one.
final class KeyFiguresMemory: Sendable {
  /// Milliseconds.
  private static let lifetime: Int64 = 60_000

  private struct State {
    var figures: KeyFigures?
    var takenAt: Int64 = .min
    var isBeingTaken = false
  }

  private let state = Locked(State())

  /// Whether the caller is to take new figures; then it must call `keep`.
  func mustTake(at now: Int64) -> Bool {
    state.withLock { state in
      // A clock that was set back makes them as good as old.
      let isFresh = state.takenAt <= now && now - Self.lifetime < state.takenAt
      guard !state.isBeingTaken, !isFresh else { return false }
      state.isBeingTaken = true
      return true
    }
  }

  /// nil when they could not be read: the next scrape tries again.
  func keep(_ figures: KeyFigures?, at now: Int64) {
    state.withLock { $0 = State(figures: figures, takenAt: figures == nil ? .min : now) }
  }

  var figures: KeyFigures? { state.withLock { $0.figures } }
}

/// `GET /metrics`.
extension AdminAPI {
  /// How long before its end a key counts as expiring: 30 days, in milliseconds.
  static let expiryNotice: Int64 = 2_592_000_000

  func metrics() throws(AdminFailure) -> Answer {
    guard let measure = facts.figures else { throw .noRoute }
    let (facts, service) = (facts, desk.service)
    let now = service.now()
    guard facts.keyFigures.mustTake(at: now) else { return .now(Self.metrics(measure(), facts, service, at: now)) }
    // The walk over all keys has a thread of its own: a loop has other requests to serve.
    return .later { send in
      PlainThread.start(named: "coffer-metrics") {
        let figures: KeyFigures?
        do { figures = try Desk(service).keyFigures(notice: Self.expiryNotice) } catch { figures = nil }
        facts.keyFigures.keep(figures, at: now)
        send(Self.metrics(measure(), facts, service, at: now))
      }
    }
  }

  private static func metrics(_ figures: ServerFigures, _ facts: AdminFacts, _ service: Service, at now: Int64) -> Response {
    var text = MetricsText()
    text.family("coffer_build_info", .gauge, "The version of the program.")
    text.sample("coffer_build_info", [("version", facts.release)], "1")
    text.append(figures.requests)
    text.append(figures.connections)
    text.append(figures.sockets)
    text.append(figures.store)
    text.single("coffer_sealed", .gauge, "1 while the root key is dropped and nothing opens.", service.isSealed ? "1" : "0")
    if let keys = facts.keyFigures.figures { text.append(keys, at: now) }
    text.single(
      "coffer_rewrapped_rows_total", .counter, "Rows that went under a newer version of their tenant's key since the start.",
      "\(service.rewrapping.rewrappedRows)")
    text.single(
      "coffer_canary_alerts_total", .counter, "Times that somebody read a canary secret since the start.", "\(service.raisedAlerts)")
    text.append(figures.process, started: facts.started)
    return Response(status: Status(200), contentType: MetricsText.mediaType, body: .bytes(text.bytes))
  }
}

extension MetricsText {
  mutating func append(_ requests: RequestFigures) {
    family("coffer_http_requests_total", .counter, "Requests answered, by pattern of the path, method and status.")
    for count in requests.counts {
      let status = count.status == 0 ? "other" : String(count.status)
      sample("coffer_http_requests_total", [("route", count.pattern), ("method", count.method), ("status", status)], "\(count.count)")
    }
    family("coffer_http_request_duration_seconds", .histogram, "From the parse of a request to its answer, by pattern of the path.")
    let bounds = RequestFigures.bounds.map { Self.seconds(microseconds: $0) }
    for durations in requests.durations {
      histogram(
        "coffer_http_request_duration_seconds", [("route", durations.pattern)], bounds: bounds, counts: durations.buckets,
        sum: Self.seconds(microseconds: durations.sumMicroseconds))
    }
  }

  fileprivate mutating func append(_ sockets: ServerFigures.Sockets) {
    single("coffer_sockets_open", .gauge, "WebSockets to the agent server that are open now.", "\(sockets.open)")
    single("coffer_sockets_opened_total", .counter, "WebSockets that were opened to the agent server.", "\(sockets.opened)")
    single(
      "coffer_sockets_refused_total", .counter, "WebSockets that were refused: no good key, no right, or too many.", "\(sockets.refused)")
  }

  fileprivate mutating func append(_ connections: ServerFigures.Connections) {
    single("coffer_connections_total", .counter, "Connections accepted from nginx and the command line.", "\(connections.accepted)")
    single("coffer_connections_open", .gauge, "Connections open now.", "\(connections.open)")
    family("coffer_refused_total", .counter, "What was refused before any route saw it, by what it was.")
    sample("coffer_refused_total", [("what", "request")], "\(connections.refusedRequests)")
    sample("coffer_refused_total", [("what", "record")], "\(connections.refusedRecords)")
    sample("coffer_refused_total", [("what", "peer")], "\(connections.refusedPeers)")
    single(
      "coffer_descriptor_exhaustions_total", .counter, "Times that no descriptor was left for a connection.",
      "\(connections.exhaustions)")
  }

  fileprivate mutating func append(_ store: ServerFigures.Store) {
    family("coffer_commit_writes", .histogram, "Writes that shared one durable commit.")
    histogram("coffer_commit_writes", bounds: store.batchBounds.map { "\($0)" }, counts: store.batches, sum: "\(store.writes)")
    single("coffer_writes_waiting", .gauge, "Writes that wait for the writer now.", "\(store.waitingWrites)")
    single("coffer_audit_entries_total", .counter, "Audit entries made durable since the start.", "\(store.auditEntries)")
    family("coffer_store_bytes", .gauge, "Size of the store's files.")
    sample("coffer_store_bytes", [("file", "database")], "\(store.databaseBytes)")
    sample("coffer_store_bytes", [("file", "log")], "\(store.logBytes)")
    single("coffer_disk_bytes", .gauge, "Size of the store's file system.", "\(store.diskBytes)")
    single("coffer_disk_free_bytes", .gauge, "What is free on the store's file system.", "\(store.freeDiskBytes)")
  }

  fileprivate mutating func append(_ keys: KeyFigures, at now: Int64) {
    family("coffer_kek_age_seconds", .gauge, "Age of the oldest and of the newest tenant key that seals new rows.")
    for (which, made) in [("oldest", keys.oldestKEK), ("newest", keys.newestKEK)] {
      guard let made else { continue }
      sample("coffer_kek_age_seconds", [("which", which)], Self.seconds(milliseconds: now - made))
    }
    single("coffer_keys_expiring", .gauge, "API keys that hold now and end within 30 days.", "\(keys.expiringKeys)")
  }

  fileprivate mutating func append(_ process: ServerFigures.Process, started: Int64) {
    single("coffer_log_lines_left_out_total", .counter, "Log lines that were too many to be written.", "\(process.leftOutLogLines)")
    single("process_start_time_seconds", .gauge, "When the process began, in Unix time.", Self.seconds(milliseconds: started))
    single(
      "process_cpu_seconds_total", .counter, "Time that the processors spent on it.", Self.seconds(microseconds: process.cpuMicroseconds))
    single("process_resident_memory_bytes", .gauge, "Memory in use.", "\(process.residentBytes)")
    single("process_open_fds", .gauge, "Open descriptors.", "\(process.openDescriptors)")
    single("process_max_fds", .gauge, "The most descriptors it may open.", "\(process.maximumDescriptors)")
  }
}
