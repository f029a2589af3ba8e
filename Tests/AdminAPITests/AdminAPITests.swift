import Glibc
import HTTPMessages
import KeyRing
import SecretMemory
import Service
import Store
import StrictJSON
import TestSupport
import Testing
internal import Threads

@testable import AdminAPI

/// A fresh store in a directory of its own, and the operator's way to it.
private final class Bench {
  private let folder = TemporaryDirectory()
  var directory: String { folder.path }
  let store: SQLiteStore
  private let desk: Desk
  let api: AdminAPI
  /// Unix milliseconds.
  let now = Locked<Int64>(1_800_000_000_000)

  init() throws {
    let now = now
    let store = try SQLiteStore(directory: folder.path + "/store")
    self.store = store
    let root = try RootKey.generate()
    _ = Bench.wait { done in Service.initialise(store, root: root, now: { 1_800_000_000_000 }) { _ in done(Response(status: Status(200))) }
    }
    let service = try Service(
      store: store, root: root, wire: WireRing(primary: SecretBytes(copying: [])), options: Service.Options(), now: { now.withLock { $0 } })
    desk = try Desk(service)
    api = AdminAPI(desk: desk, facts: AdminFacts(release: "0", started: 0, processID: 1, figures: { Bench.figures }))
  }

  private static let figures = ServerFigures(
    requests: RequestFigures(counts: [.init(pattern: "/api/settings", method: "GET", status: 200, count: 5)]),
    connections: .init(accepted: 9, open: 2, refusedRequests: 3, refusedRecords: 4, refusedPeers: 5, exhaustions: 6),
    sockets: .init(open: 21, opened: 22, refused: 23),
    store: .init(
      writes: 11, batches: [1, 2], batchBounds: [1, 8], waitingWrites: 7, auditEntries: 12, databaseBytes: 13, logBytes: 14, diskBytes: 15,
      freeDiskBytes: 16),
    process: .init(cpuMicroseconds: 1_500_000, residentBytes: 17, openDescriptors: 18, maximumDescriptors: 19, leftOutLogLines: 20))

  deinit {
    desk.turnEnds()
    store.close()
  }

  static func wait(_ start: (@escaping @Sendable (Response) -> Void) -> Void) -> Response {
    let found = Locked<Response?>(nil)
    start { response in found.withLock { $0 = response } }
    for _ in 0..<5000 {
      if let response = found.withLock({ $0 }) { return response }
      usleep(1000)
    }
    return Response(status: Status(599))
  }

  func send(_ method: HTTPMethod, _ uri: String, _ body: String = "", operator isOperator: Bool = true, key: String? = nil)
    throws -> (Int, String)
  {
    let response = try respond(method, uri, body, operator: isOperator, key: key)
    let bytes: [UInt8] =
      switch response.body {
      case .empty: []
      case .bytes(let bytes): bytes
      case .secret(let secret): secret.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
      }
    return (response.status.code, String(decoding: bytes, as: UTF8.self))
  }

  func respond(_ method: HTTPMethod, _ uri: String, _ body: String = "", operator isOperator: Bool = true, key: String? = nil) throws
    -> Response
  {
    var request = Request(
      method: method, target: try RequestTarget(parsing: Array(uri.utf8), normalised: nil), body: SecretBytes(copying: Array(body.utf8)),
      peer: Peer(address: "", isLocalOperator: isOperator), id: "test-request")
    if let key { request[.authorization] = Array("Bearer \(key)".utf8) }
    if !body.isEmpty { request[.contentType] = Array("application/json".utf8) }
    desk.requestBegins()
    switch api.answer(request) {
    case .now(let ready): return ready
    case .later(let start):
      // As a loop that has nothing else to do: a snapshot would keep what is erased in the log.
      desk.turnEnds()
      return Self.wait(start)
    }
  }
}

private func data(_ reply: (Int, String)) throws -> JSONObject {
  let limits = JSONLimits(bytes: 1 << 20, depth: 8, members: 10_000)
  return try #require(try JSONValue.parse(Array(reply.1.utf8), limits: limits).object?["data"]?.object, "\(reply.0) \(reply.1)")
}

struct AdminAPITests {
  @Test func metricsAreForOperatorsAndHoldNoName() throws {
    let bench = try Bench()
    #expect(try bench.send(.get, "/metrics", operator: false).0 == 401)
    #expect(try bench.send(.get, "/metrics", operator: false).1.contains(#""code":"unauthenticated""#))
    #expect(try bench.send(.post, "/metrics").0 == 405)
    #expect(try bench.send(.get, "/metrics/").0 == 404)
    _ = try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"level":"masked","name":"n","expiresIn":60}"#)
    let (status, text) = try bench.send(.get, "/metrics")
    #expect(status == 200)
    let lines = text.split(separator: "\n")
    for line in [
      #"coffer_build_info{version="0"} 1"#, #"coffer_http_requests_total{route="/api/settings",method="GET",status="200"} 5"#,
      "coffer_connections_total 9", "coffer_connections_open 2", #"coffer_refused_total{what="request"} 3"#,
      #"coffer_refused_total{what="record"} 4"#, #"coffer_refused_total{what="peer"} 5"#, "coffer_descriptor_exhaustions_total 6",
      #"coffer_commit_writes_bucket{le="8"} 3"#, #"coffer_commit_writes_bucket{le="+Inf"} 3"#, "coffer_commit_writes_sum 11",
      "coffer_commit_writes_count 3", "coffer_writes_waiting 7", "coffer_audit_entries_total 12",
      #"coffer_store_bytes{file="database"} 13"#,
      #"coffer_store_bytes{file="log"} 14"#, "coffer_disk_bytes 15", "coffer_disk_free_bytes 16",
      #"coffer_kek_age_seconds{which="oldest"} 0"#, "coffer_keys_expiring 1", "coffer_log_lines_left_out_total 20",
      "process_start_time_seconds 0", "process_cpu_seconds_total 1.5", "process_resident_memory_bytes 17", "process_open_fds 18",
      "process_max_fds 19",
    ] { #expect(lines.contains(Substring(line)), "\(line)") }
    #expect(!text.contains("ten_"))
    #expect(text.utf8.allSatisfy { $0 < 0x80 })
  }

  @Test func aKeyIsShownOnceListedWithoutItsTextAndRevoked() throws {
    let bench = try Bench()
    let made = try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"level":"masked","name":"n","expiresIn":60}"#)
    #expect(made.0 == 201)
    let limits = JSONLimits(bytes: 65536, depth: 8, members: 100)
    let data = try #require(try JSONValue.parse(Array(made.1.utf8), limits: limits).object?["data"]?.object)
    let id = try #require(data["id"]?.string?.text)
    let hasKey = data["key"]?.string?.text.hasPrefix("csk_\(id)_") == true
    #expect(hasKey)
    let list = try bench.send(.get, "/admin/v1/tenants/default/keys").1
    let showsNoKey = list.contains(id) && !list.contains("csk_") && !list.contains("adk_")
    #expect(showsNoKey)
    #expect(try bench.send(.delete, "/admin/v1/keys/\(id)").0 == 200)
    #expect(try bench.send(.delete, "/admin/v1/keys/0000000000000000").0 == 404)
    #expect(try bench.send(.post, "/admin/v1/tenants/default/audit/verify").1.contains(#""ok":true"#))
  }

  @Test(arguments: [
    (HTTPMethod.get, "/admin/v1/none", "", 404), (.get, "/admin/v1/status/", "", 404), (.put, "/admin/v1/status", "", 405),
    (.get, "/admin/v1/tenants/ten_none/keys", "", 404), (.get, "/admin/v1/tenants/default/audit?limit=0", "", 400),
    (.get, "/admin/v1/tenants/default/audit?after=x", "", 400), (.get, "/admin/v1/tenants/default/audit?after=-1", "", 400),
    (.post, "/admin/v1/tenants/default/keys", "", 415),
    (.post, "/admin/v1/tenants/default/keys", "{", 400), (.post, "/admin/v1/tenants/default/keys", "[]", 400),
    (.post, "/admin/v1/tenants/default/keys", #"{"name":""}"#, 400), (.post, "/admin/v1/tenants/default/keys", #"{"name":"a","x":1}"#, 400),
    (.post, "/admin/v1/tenants/default/keys", #"{"name":"a","level":"all"}"#, 400),
    (.post, "/admin/v1/tenants/default/keys", #"{"name":"a","kind":1}"#, 400),
    (.post, "/admin/v1/tenants/default/keys", #"{"name":"a","kind":"admin","level":"masked"}"#, 400),
    (.post, "/admin/v1/tenants/default/keys", #"{"name":"a","expiresIn":0}"#, 400),
  ])
  func refusals(method: HTTPMethod, uri: String, body: String, status: Int) throws {
    #expect(try Bench().send(method, uri, body).0 == status)
  }

  /// One that was left out would be the most powerful one.
  @Test(arguments: ["", #","role":null"#, #","role":"king""#, #","role":1"#])
  func anAdminHasARole(role: String) throws {
    let bench = try Bench()
    for (uri, body) in [("admins", #"{"name":"x""#), ("tenants/default/keys", #"{"name":"x","kind":"admin""#)] {
      let refused = try bench.send(.post, "/admin/v1/\(uri)", body + role + "}")
      #expect(refused.0 == 400 && refused.1.contains(#""code":"validation_failed""#) && refused.1.contains(#""pointer":"/role""#), "\(uri)")
    }
    #expect(try !bench.send(.get, "/admin/v1/admins").1.contains(#""name":"x""#))
  }

  /// Incident 15 of the survey: whoever has a key of the network must not choose a path of the machine.
  @Test func backupAndVerifyAreTheOperatorsAlone() throws {
    let bench = try Bench()
    let made = try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"kind":"admin","name":"n","role":"owner"}"#).1
    let limits = JSONLimits(bytes: 65536, depth: 8, members: 100)
    let key = try #require(try JSONValue.parse(Array(made.utf8), limits: limits).object?["data"]?.object?["key"]?.string?.text)
    let body = "{\"path\":\"\(bench.directory)/backup\"}"
    #expect(try bench.send(.get, "/admin/v1/status", operator: false, key: key).0 == 200)
    for route in ["/admin/v1/backup", "/admin/v1/verify"] {
      #expect(try bench.send(.post, route, body, operator: false, key: key).0 == 404)
      #expect(try bench.send(.post, route, body, operator: false).0 == 401)
    }
    #expect(unsafe access(bench.directory + "/backup", F_OK) != 0)
    let verdict = try bench.send(.post, "/admin/v1/verify")
    #expect(verdict.0 == 200 && verdict.1.contains(#""ok":true"#) && verdict.1.contains(#""findings":[]"#))
    let backup = try bench.send(.post, "/admin/v1/backup", body)
    #expect(backup.0 == 200 && backup.1.contains(#""schema":"#) && backup.1.contains(#""sequence":5"#))
    let again = try bench.send(.post, "/admin/v1/backup", body)
    #expect(again.0 == 409 && again.1.contains("is there already"))
    unsafe unlink(bench.directory + "/backup")
  }

  @Test(arguments: [
    ("{}", 400), (#"{"heads":[1]}"#, 400), (#"{"heads":[{"tenant":"t","sequence":1,"hash":"00"}]}"#, 400),
    (#"{"heads":[{"tenant":"t","sequence":-1,"hash":null}]}"#, 400), (#"{"heads":[{"tenant":"t","sequence":0,"hash":null}]}"#, 200),
    (#"{"heads":[]}"#, 200),
  ])
  func headsThatWereKept(_ body: String, _ status: Int) throws {
    #expect(try Bench().send(.post, "/admin/v1/verify", body).0 == status)
  }

  @Test(arguments: [
    "{}", #"{"path":1}"#, #"{"path":"relative"}"#, #"{"path":"/ends/"}"#, #"{"path":"/a\u0000b"}"#, #"{"path":"/a","x":1}"#,
  ])
  func backupsWithoutAPlace(_ body: String) throws {
    #expect(try Bench().send(.post, "/admin/v1/backup", body).0 == 400)
  }

  @Test func withoutAKeyTheMainSocketIsClosed() throws {
    let bench = try Bench()
    for route in ["/admin/v1/status", "/admin/v1/tenants", "/admin/v1/tenants/default/keys", "/admin/v1/tenants/default/audit"] {
      #expect(try bench.send(.get, route, operator: false).0 == 401)
    }
  }
}

/// Tenants, key rotation and the audit chain through the routes.
struct AdminKeepingTests {
  private func tenant(_ bench: Bench, _ name: String) throws -> String {
    try #require(try data(bench.send(.post, "/admin/v1/tenants", "{\"name\":\"\(name)\"}"))["id"]?.string?.text)
  }

  @Test func aTenantsLife() throws {
    let bench = try Bench()
    let path = "/admin/v1/tenants/" + (try tenant(bench, "one"))
    #expect(try data(bench.send(.get, path))["name"] == "one")
    #expect(try bench.send(.patch, path, #"{"name":"two words & more"}"#).0 == 200)
    #expect(try bench.send(.post, "/admin/v1/tenants", #"{"name":"two words & more"}"#).0 == 409)
    let made = try bench.send(.post, path + "/keys", #"{"name":"n"}"#)
    #expect(made.0 == 201)
    for confirm in ["", "?confirm=", "?confirm=one", "?confirm=two+words", "?other=two%20words%20%26%20more"] {
      #expect(try bench.send(.delete, path + confirm).0 == 400)
    }
    let deleted = try data(bench.send(.delete, path + "?confirm=two%20words%20%26%20more"))
    #expect(deleted["isDeleted"] == true && deleted["isErased"] == true)
    #expect(try data(bench.send(.get, path))["isDeleted"] == true)
    #expect(try bench.send(.get, path + "/keys").0 == 404 && bench.send(.patch, path, #"{"name":"x"}"#).0 == 404)
    #expect(try bench.send(.delete, path + "?confirm=two%20words%20%26%20more").0 == 404)
    // What it did can be read still, and the name is free again.
    let chain = try bench.send(.get, path + "/audit").1
    #expect(["tenant.create", "tenant.rename", "key.create", "tenant.delete"].allSatisfy { chain.contains($0) })
    #expect(try data(bench.send(.post, path + "/audit/verify"))["ok"] == true)
    #expect(try bench.send(.post, "/admin/v1/tenants", #"{"name":"two words & more"}"#).0 == 201)
  }

  @Test func theDefaultTenantStays() throws {
    let reply = try Bench().send(.delete, "/admin/v1/tenants/default?confirm=default")
    #expect(reply.0 == 409 && reply.1.contains("The default tenant cannot be deleted."))
  }

  @Test func aKeyIsRotated() throws {
    let bench = try Bench()
    let keys = "/admin/v1/tenants/default/keys"
    let old = try data(bench.send(.post, keys, #"{"level":"masked","name":"n","expiresIn":3600}"#))
    let id = try #require(old["id"]?.string?.text)
    let new = try data(bench.send(.post, "/admin/v1/keys/\(id)/rotate", #"{"overlapSeconds":60}"#))
    for member in ["tenant", "kind", "level", "name", "expiresAt"] as [JSONString] { #expect(new[member] == old[member], "\(member)") }
    #expect(new["id"] != old["id"] && new["key"] != nil)
    #expect(new["replaces"]?.object?["expiresAt"] == "2027-01-15T08:01:00.000Z")
    // A longer overlap does not lengthen a life; none ends it, once.
    let later = try data(bench.send(.post, "/admin/v1/keys/\(id)/rotate", #"{"overlapSeconds":600}"#))
    #expect(later["replaces"]?.object?["expiresAt"] == "2027-01-15T08:01:00.000Z")
    #expect(try data(bench.send(.post, "/admin/v1/keys/\(id)/rotate", #"{"overlapSeconds":0}"#))["replaces"]?.object?["revokedAt"] != .null)
    #expect(try bench.send(.post, "/admin/v1/keys/\(id)/rotate").0 == 409)
    #expect(try bench.send(.post, "/admin/v1/keys/0000000000000000/rotate").0 == 404)
    let admin = try data(bench.send(.post, keys, #"{"kind":"admin","name":"a","role":"owner"}"#))
    let newAdmin = try data(bench.send(.post, "/admin/v1/keys/\(admin["id"]?.string?.text ?? "")/rotate"))
    #expect(newAdmin["kind"] == "admin" && newAdmin["role"] == admin["role"] && newAdmin["key"]?.string?.text.hasPrefix("adk_") == true)
    #expect(try bench.send(.post, "/admin/v1/keys/\(id)/rotate", #"{"overlapSeconds":-1}"#).0 == 400)
    #expect(try bench.send(.get, "/admin/v1/tenants/default/audit").1.contains("key.rotate"))
  }

  /// Who holds the whole key learns why it does not hold; everybody else learns nothing.
  @Test func aKeyThatHasEndedSaysSo() throws {
    let bench = try Bench()
    let keys = "/admin/v1/tenants/default/keys"
    func made(_ body: String) throws -> (id: String, text: String) {
      let key = try data(bench.send(.post, keys, body))
      return (try #require(key["id"]?.string?.text), try #require(key["key"]?.string?.text))
    }
    func code(_ key: String) throws -> String {
      let (status, text) = try bench.send(.get, "/admin/v1/tenants", operator: false, key: key)
      guard status != 200 else { return "200" }
      let limits = JSONLimits(bytes: 65536, depth: 8, members: 100)
      return "\(status) \(try JSONValue.parse(Array(text.utf8), limits: limits).object?["code"]?.string?.text ?? "")"
    }
    let short = try made(#"{"kind":"admin","role":"auditor","name":"a","expiresIn":60}"#)
    let (admin, session) = (try made(#"{"kind":"admin","role":"auditor","name":"b"}"#), try made(#"{"name":"c"}"#))
    #expect(try code(short.text) == "200" && code(admin.text) == "200" && code(session.text) == "403 wrong_key_kind")
    for id in [admin.id, session.id] { #expect(try bench.send(.delete, "/admin/v1/keys/\(id)").0 == 200) }
    bench.now.withLock { $0 += 60_000 }
    #expect(try code(short.text) == "401 key_expired")
    #expect(try code(admin.text) == "401 key_revoked" && code(session.text) == "401 key_revoked")
    let other = admin.text.last == "0" ? "1" : "0"
    #expect(try code(admin.text.dropLast() + other) == "401 unauthenticated")
  }

  @Test func aChainIsCutAndProvenStill() throws {
    let bench = try Bench()
    let chain = "/admin/v1/tenants/default/audit"
    // Behind the three entries of the store's making. A cut is one entry, and one says again which rows there are.
    for _ in 0..<5 { #expect(try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"name":"n"}"#).0 == 201) }
    let head = try data(bench.send(.get, chain + "/head"))
    let body = "{\"head\":\(String(decoding: JSONValue.object(head).serialized(), as: UTF8.self))}"
    #expect(try data(bench.send(.post, chain + "/trim", #"{"before":"2027-01-15"}"#))["removed"] == 0)
    #expect(try data(bench.send(.post, chain + "/trim", #"{"keepDays":1}"#))["removed"] == 0)
    let cut = try data(bench.send(.post, chain + "/trim", #"{"before":"2027-01-16"}"#))
    #expect(cut["removed"] == 8 && cut["cutThrough"] == 8 && cut["hasMore"] == false)
    #expect(try data(bench.send(.post, chain + "/verify", "{}"))["ok"] == true)
    let verdict = try data(bench.send(.post, chain + "/verify", body))
    #expect(verdict["ok"] == true && verdict["entries"] == 2 && verdict["cutThrough"] == 8 && verdict["headIsCut"] == false)
    #expect(try data(bench.send(.post, chain + "/trim", #"{"before":"2027-01-16"}"#))["removed"] == 2)
    #expect(try data(bench.send(.post, chain + "/verify", body))["headIsCut"] == true)
    #expect(try data(bench.send(.get, chain + "/head"))["sequence"] == 12)
  }

  @Test(arguments: [
    ("trim", ""), ("trim", "{}"), ("trim", #"{"before":"2027"}"#), ("trim", #"{"keepDays":0}"#),
    ("trim", #"{"before":"2027-01-01","keepDays":1}"#),
    ("trim", #"{"before":1}"#), ("trim", #"{"before":"2026-13-01"}"#), ("trim", #"{"before":"2026-02-31"}"#),
    ("trim", #"{"before":"2026-00-00"}"#), ("trim", #"{"before":"2027-01-17"}"#), ("trim", #"{"before":"2026-01-0a"}"#),
    ("verify", #"{"head":{}}"#), ("verify", #"{"head":{"sequence":1,"hash":"00"}}"#), ("verify", #"{"head":null}"#),
  ])
  func refusalsOfAuditRoutes(_ route: String, _ body: String) throws {
    #expect([400, 415].contains(try Bench().send(.post, "/admin/v1/tenants/default/audit/" + route, body).0))
  }

  @Test func anOlderHeadFindsAShorterChain() throws {
    let bench = try Bench()
    _ = try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"name":"n"}"#)
    let hash = String(repeating: "0", count: 64)
    for (sequence, bad) in [(1, 1), (4, 4), (5, 5), (9, 5)] {
      let reply = try data(
        bench.send(.post, "/admin/v1/tenants/default/audit/verify", "{\"head\":{\"sequence\":\(sequence),\"hash\":\"\(hash)\"}}"))
      #expect(reply["ok"] == false && reply["firstBad"] == .number(JSONNumber(bad)))
    }
  }
}

/// The structure of a tenant through the routes.
struct AdminStructureTests {
  @Test func anAgentIsMadeWithItsKey() throws {
    let bench = try Bench()
    let made = try bench.send(.post, "/admin/v1/tenants/default/agents", #"{"name":"a","issueKey":{}}"#)
    let showsKey = made.0 == 201 && made.1.contains(#""key":"agk_"#)
    #expect(showsKey)
  }

  /// One end, which is to come: of keys, of invites with what they give, and of memberships.
  @Test func whatEndsEndsOnceAndLater() throws {
    let bench = try Bench()
    let place = "/admin/v1/tenants/default"
    func made(_ list: String) throws -> String {
      try #require(try data(bench.send(.post, place + list, #"{"name":"n"}"#))["id"]?.string?.text)
    }
    let (agent, team) = (try made("/agents"), try made("/teams"))
    let keys = "\(place)/agents/\(agent)/keys"
    let (past, future) = ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:00.001Z")
    func member(_ time: String) -> String { "{\"role\":\"reader\",\"scope\":\"team\",\"scopeId\":\"\(team)\",\"expiresAt\":\"\(time)\"}" }
    func refusal(_ method: HTTPMethod, _ uri: String, _ body: String) throws -> String? {
      let answer = try bench.send(method, uri, body)
      guard answer.0 == 400 else { return nil }
      let limits = JSONLimits(bytes: 65536, depth: 8, members: 100)
      let issues = try JSONValue.parse(Array(answer.1.utf8), limits: limits).object?["details"]?.object?["issues"]?.array
      return issues?.first?.object?["pointer"]?.string?.text
    }
    for body in [#""expiresIn":60,"expiresAt":"\#(future)""#, #""expiresIn":60,"expiresAt":null"#, #""expiresIn":null,"expiresAt":null"#] {
      #expect(try refusal(.post, keys, #"{"name":"k",\#(body)}"#) == "/expiresIn", "\(body)")
      #expect(try refusal(.post, place + "/invites", #"{"label":"i",\#(body)}"#) == "/expiresIn", "\(body)")
    }
    #expect(try refusal(.post, keys, #"{"name":"k","expiresAt":"\#(past)"}"#) == "/expiresAt")
    #expect(try refusal(.post, place + "/invites", #"{"label":"i","expiresAt":"\#(past)"}"#) == "/expiresAt")
    #expect(try refusal(.post, place + "/invites", #"{"label":"i","memberships":[\#(member(past))]}"#) == "/memberships/0/expiresAt")
    let membership = "\(place)/agents/\(agent)/memberships/team/\(team)"
    #expect(try refusal(.put, membership, member(past)) == "/expiresAt")
    #expect(try bench.send(.get, "\(place)/agents/\(agent)/memberships").1.contains(#""data":[]"#))
    #expect(try bench.send(.post, keys, #"{"name":"k","expiresAt":"\#(future)"}"#).0 == 201)
    #expect(try bench.send(.post, place + "/invites", #"{"label":"i","memberships":[\#(member(future))]}"#).0 == 201)
    #expect(try data(bench.send(.put, membership, member(future)))["expiresAt"] == .string(JSONString(future)))
  }

  /// Auditors read, operators change, and what is gone for good is the owner's.
  @Test func rolesOfTheTable() {
    let entries = AdminRoute.table
    for entry in entries {
      for method in entry.methods {
        #expect(entry.route.admits(.owner, method))
        if entry.route.admits(.auditor, method) { #expect(entry.route.admits(.operator, method)) }
      }
    }
    let changing = entries.filter { $0.methods != [.get] && $0.route.admits(.auditor, $0.methods[0]) }
    #expect(changing.map { "\($0.pattern)" } == ["/admin/v1/tenants/{tenant}/audit/verify"])
    let owners = entries.filter { !$0.route.admits(.operator, $0.methods[0]) }.map { "\($0.pattern)" }
    #expect(owners.contains("/admin/v1/tenants/{tenant}/secrets/{scope}/{scopeId}/{secretId}/purge"))
  }
}

/// Lists page as the scoped dialect's do (scoped spec, section 1.3).
struct AdminListTests {
  private let bench: Bench
  private let agent: String
  private static let limits = JSONLimits(bytes: 1 << 20, depth: 8, members: 10_000)
  private static let tenant = "/admin/v1/tenants/default"

  init() throws {
    let bench = try Bench()
    self.bench = bench
    func make(_ uri: String, _ body: String = "") throws -> String {
      let reply = try bench.send(.post, uri, body)
      try #require(reply.0 == 201, "\(uri): \(reply.1)")
      let data = try #require(try JSONValue.parse(Array(reply.1.utf8), limits: Self.limits).object?["data"]?.object)
      return data["id"]?.string?.text ?? ""
    }
    agent = try make(Self.tenant + "/agents", #"{"name":"a0"}"#)
    for number in 1...2 {
      _ = try make("/admin/v1/tenants", "{\"name\":\"t\(number)\"}")
      _ = try make("/admin/v1/admins", #"{"name":"n","role":"auditor"}"#)
      _ = try make(Self.tenant + "/agents", "{\"name\":\"a\(number)\"}")
      _ = try make(Self.tenant + "/keks/rotate")
    }
    for number in 1...3 {
      let team = try make(Self.tenant + "/teams", "{\"name\":\"t\(number)\"}")
      _ = try make(Self.tenant + "/projects", "{\"name\":\"p\(number)\"}")
      _ = try make(Self.tenant + "/agents/\(agent)/keys", #"{"name":"k"}"#)
      _ = try make(Self.tenant + "/invites", #"{"label":"l"}"#)
      _ = try bench.send(.put, Self.tenant + "/agents/\(agent)/memberships/team/\(team)", #"{"role":"reader"}"#)
    }
  }

  /// Those that have rows here, and those that have none.
  private var full: [String] {
    ["/admin/v1/tenants", "/admin/v1/admins"]
      + ["keys", "audit", "teams", "projects", "agents", "invites", "keks", "agents/\(agent)/keys", "agents/\(agent)/memberships"]
      .map { Self.tenant + "/" + $0 }
  }
  private var bare: [String] { ["/admin/v1/wire-keys"] + ["conversations", "canaries", "secrets"].map { Self.tenant + "/" + $0 } }

  private func page(_ uri: String, key: String? = nil) throws -> (rows: [JSONValue], cursor: String?) {
    let reply = try bench.send(.get, uri, operator: key == nil, key: key)
    try #require(reply.0 == 200, "\(uri): \(reply.1)")
    let answer = try #require(try JSONValue.parse(Array(reply.1.utf8), limits: Self.limits).object)
    let cursor = answer["cursor"]?.string?.text
    #expect(answer["hasMore"] == .bool(cursor != nil) && answer["cursor"] != nil, "\(uri)")
    return (try #require(answer["data"]?.array, "\(uri)"), cursor)
  }

  private func refuses(_ uri: String, _ pointer: String, key: String? = nil) throws {
    let reply = try bench.send(.get, uri, operator: key == nil, key: key)
    #expect(reply.0 == 400 && reply.1.contains(#""code":"validation_failed""#), "\(uri): \(reply.1)")
    #expect(reply.1.contains("\"issues\":[{\"pointer\":\"\(pointer)\""), "\(uri): \(reply.1)")
  }

  @Test func pagesAreTheWholeListAndTheLastOneSaysSo() throws {
    for path in full {
      let whole = try page(path)
      #expect(whole.rows.count >= 3 && whole.cursor == nil, "\(path)")
      for limit in [1, 2, whole.rows.count - 1, whole.rows.count] {
        var rows: [JSONValue] = []
        var next: String? = ""
        while let cursor = next {
          let part = try page(path + "?limit=\(limit)" + (cursor.isEmpty ? "" : "&cursor=" + cursor))
          #expect((1...limit).contains(part.rows.count), "\(path)")
          rows += part.rows
          next = part.cursor
        }
        #expect(rows == whole.rows, "\(path) by \(limit)")
      }
    }
    #expect(try bare.allSatisfy { try page($0).cursor == nil })
  }

  @Test func aCursorIsOfItsCallerAndItsQuestion() throws {
    let made = try bench.send(.post, "/admin/v1/admins", #"{"name":"other","role":"owner"}"#).1
    let key = try #require(
      try JSONValue.parse(Array(made.utf8), limits: Self.limits).object?["data"]?.object?["key"]?.string?.text)
    for path in full {
      let cursor = try #require(try page(path + "?limit=1").cursor)
      for other in full + bare where other != path { try refuses(other + "?cursor=" + cursor, "/query/cursor") }
      try refuses(path + "?cursor=" + cursor, "/query/cursor", key: key)
      let theirs = try #require(try page(path + "?limit=1", key: key).cursor)
      #expect(try page(path + "?cursor=" + theirs, key: key).cursor == nil)
      try refuses(path + "?cursor=" + theirs, "/query/cursor")
      let last = cursor.last == "A" ? "B" : "A"
      try refuses(path + "?cursor=" + cursor.dropLast() + last, "/query/cursor")
    }
    let behind = try #require(try page(Self.tenant + "/audit?after=2&limit=1").cursor)
    #expect(try page(Self.tenant + "/audit?limit=1&after=2&cursor=" + behind).rows.first?.object?["sequence"] == 4)
    try refuses(Self.tenant + "/audit?cursor=" + behind, "/query/cursor")
    try refuses(Self.tenant + "/audit?after=3&cursor=" + behind, "/query/cursor")
  }

  @Test func whatIsNoParameterOfAList() throws {
    for path in full + bare + [Self.tenant + "/audit/export"] {
      for cursor in ["", "zz", "1", "ten_0", agent, "%00", String(repeating: "A", count: 1025)] {
        try refuses(path + "?cursor=" + cursor, "/query/cursor")
      }
      for limit in ["", "0", path.hasSuffix("/export") ? "5001" : "201", "-1", "x", "%2B5", "1.0", "99999999999999999999"] {
        try refuses(path + "?limit=" + limit, "/query/limit")
      }
      for query in ["limit=1&limit=1", "cursor=zz&cursor=zz", "other=1", "Limit=1"] { try refuses(path + "?" + query, "/query") }
      if !path.contains("/audit") { try refuses(path + "?after=1", "/query") }
    }
    try refuses(Self.tenant + "/secrets?includeDeleted=1", "/query/includeDeleted")
    #expect(try page(Self.tenant + "/audit?after=3").rows.first?.object?["sequence"] == 4)
    #expect(try page(Self.tenant + "/audit?after=999").rows.isEmpty)
  }
}

/// The chain as lines, in one answer or in parts.
struct AuditExportTests {
  private static let path = "/admin/v1/tenants/default/audit"

  private func part(_ bench: Bench, _ query: String) throws -> (text: String, next: String?) {
    let response = try bench.respond(.get, Self.path + "/export" + query)
    guard response.status.code == 200, case .bytes(let bytes) = response.body else { throw Refused(status: response.status.code) }
    #expect(response.contentType.map { "\($0)" } == "application/x-ndjson")
    return (String(decoding: bytes, as: UTF8.self), response.headers.first { "\($0.name)" == "X-Next-Cursor" }?.value)
  }

  private struct Refused: Error { let status: Int }

  private func lines(_ text: String) throws -> [JSONObject] {
    #expect(text.hasSuffix("\n"))
    let limits = JSONLimits(bytes: 1 << 20, depth: 4, members: 100)
    return try text.utf8.split(separator: 0x0A).map { try #require(try JSONValue.parse(Array($0), limits: limits).object) }
  }

  private func bench(entries count: Int) throws -> Bench {
    let bench = try Bench()
    for _ in 0..<count { #expect(try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"name":"n"}"#).0 == 201) }
    return bench
  }

  @Test func partsAreTheWhole() throws {
    let bench = try bench(entries: 7)
    let whole = try part(bench, "")
    #expect(whole.next == nil)
    let found = try lines(whole.text)
    #expect(found.first?["format"] == "coffer-audit/1" && found.filter { $0["format"] != nil }.count == 1)
    #expect(found.dropFirst().map { $0["sequence"]?.number?.int64 } == (1...10).map(Int64.init))
    let walk = try #require(ExportedChain(Array(whole.text.utf8))?.walk(roots: nil))
    #expect(walk.firstBad == nil && walk.entries == 10)
    for limit in [1, 3, 9, 10, 11] {
      var (text, query) = ("", "?limit=\(limit)")
      while true {
        let part = try part(bench, query)
        text += part.text
        #expect(try lines(part.text).count <= limit + 1)
        guard let next = part.next else { break }
        query = "?limit=\(limit)&cursor=" + next
      }
      #expect(text == whole.text, "\(limit)")
    }
    // What is new continues an export.
    let later = try bench.send(.post, "/admin/v1/tenants/default/keys", #"{"name":"n"}"#)
    #expect(later.0 == 201)
    #expect(try whole.text + part(bench, "?after=10").text == part(bench, "").text)
    #expect(try part(bench, "?after=11") == ("", nil))
    #expect(try part(bench, "?after=0").text == part(bench, "").text)
  }

  @Test func aCutEndsAnExportThatIsNotBehindIt() throws {
    let bench = try bench(entries: 5)
    let (first, last) = (try part(bench, "?limit=2"), try part(bench, "?limit=8"))
    #expect(last.next == nil)
    #expect(try bench.send(.post, Self.path + "/trim", #"{"before":"2027-01-16"}"#).1.contains(#""cutThrough":8"#))
    let refused = try bench.send(.get, Self.path + "/export?limit=2&cursor=" + (try #require(first.next)))
    #expect(refused.0 == 400 && refused.1.contains("begin the export again"))
    let cut = try lines(try part(bench, "").text)
    #expect(cut.first?["checkpoint"]?.string != nil && cut.dropFirst().first?["sequence"] == 9)
    let goes = try part(bench, "?limit=1")
    #expect(try part(bench, "?cursor=" + (try #require(goes.next))).text.contains(#""sequence":10"#))
  }

  @Test func aListAndAnExportAreTwoQuestions() throws {
    let bench = try bench(entries: 1)
    let list = try bench.send(.get, Self.path + "?limit=1").1
    let cursor = try #require(
      try JSONValue.parse(Array(list.utf8), limits: JSONLimits(bytes: 1 << 20, depth: 8, members: 100)).object?["cursor"]?.string?.text)
    #expect(try bench.send(.get, Self.path + "/export?cursor=" + cursor).0 == 400)
    #expect(try bench.send(.get, Self.path + "?cursor=" + (try #require(try part(bench, "?limit=1").next))).0 == 400)
  }

  @Test(arguments: [(HTTPMethod.post, 405), (.delete, 405), (.head, 200), (.options, 204)])
  func methods(method: HTTPMethod, status: Int) throws {
    let response = try Bench().respond(method, Self.path + "/export")
    #expect(response.status.code == status)
    if status != 200 { #expect(response.headers.contains { "\($0.name)" == "Allow" && $0.value == "GET, HEAD, OPTIONS" }) }
  }
}
