import Glibc
import HTTPMessages
import KeyRing
import SecretMemory
import Service
import SettingsAPI
import Store
import StrictJSON
import TestSupport
import Testing
import Threads

/// The API over a real store in a directory of its own, driven by requests as values.
final class Rig {
  let directory = TemporaryDirectory()
  let store: SQLiteStore
  let service: Service
  let keys: FirstKeys
  let clock = Locked<Int64>(1_795_478_400_000)
  private let desk: Desk
  private let api: SettingsAPI

  init(open: Bool = false, environmentKeys: [String] = [], wrapLimit: Int64 = 1 << 30) throws {
    store = try SQLiteStore(directory: directory.path + "/store")
    let root = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 3, count: 32)))
    let made = Waiter<FirstKeys>()
    Service.initialise(store, root: root, now: { 1_795_478_400_000 }) { made.give($0) }
    keys = try made.take().get()
    let options = Service.Options(environmentKeys: environmentKeys.map { SecretBytes(copying: Array($0.utf8)) }, isOpen: open)
    service = try Service(
      store: store, root: root, wire: WireRing(primary: SecretBytes(copying: Array("wire".utf8))), options: options, wrapLimit: wrapLimit,
      now: { 1_795_478_400_000 })
    desk = try Desk(service)
    api = SettingsAPI(desk: desk, cors: CORSPolicy(), info: ServerInfo(release: "test", started: 0))
  }

  deinit {
    desk.turnEnds()
    store.close()
  }

  struct Reply {
    let status: Int
    let body: String
    let headers: [String: String]
    var json: JSONValue { (try? JSONValue.parse(Array(body.utf8), limits: .settings)) ?? .null }
  }

  func send(_ method: HTTPMethod, _ path: String, key: String? = nil, body: String? = nil, headers: [HeaderName: String] = [:]) throws
    -> Reply
  {
    var fields = headers.mapValues { Array($0.utf8) }
    if let key { fields[.sessionKey] = Array(key.utf8) }
    if body != nil, fields[.contentType] == nil { fields[.contentType] = Array("application/json".utf8) }
    let request = Request(
      method: method, target: try RequestTarget(parsing: Array(path.utf8), normalised: nil), headers: fields,
      body: SecretBytes(copying: Array((body ?? "").utf8)), id: "request-1")
    desk.requestBegins()
    let response: Response
    switch api.answer(request) {
    case .now(let answer): response = answer
    case .later(let start):
      // As a loop that has nothing else to do: what is erased waits for snapshots that hold it.
      desk.turnEnds()
      let waiter = Waiter<Response>()
      start { waiter.give(.success($0)) }
      response = try waiter.take().get()
    }
    let bytes: [UInt8] =
      switch response.body {
      case .empty: []
      case .bytes(let bytes): bytes
      case .secret(let secret): text(secret)
      }
    return Reply(
      status: response.status.code, body: String(decoding: bytes, as: UTF8.self),
      headers: Dictionary(response.headers.map { ("\($0.name)", $0.value) }, uniquingKeysWith: { $1 }))
  }

  func text(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }
  var sessionKey: String { String(decoding: text(keys.session), as: UTF8.self) }

  func newKey(_ level: Level, expiresAt: Int64? = nil) throws -> (id: String, text: String) {
    let waiter = Waiter<NewKey>()
    service.createKey(
      KeyRequest(rights: .session(level), name: "test", expiresAt: expiresAt), tenant: service.defaultTenant,
      by: .localOperator(tenant: service.defaultTenant), requestID: "r"
    ) { waiter.give($0.mapError { $0 }) }
    let key = try waiter.take().get()
    return (key.row.id, String(decoding: text(key.token), as: UTF8.self))
  }

  func revoke(_ id: String) throws {
    let waiter = Waiter<APIKeyRow>()
    service.revokeKey(id, by: .localOperator(tenant: service.defaultTenant), requestID: "r") { waiter.give($0.mapError { $0 }) }
    _ = try waiter.take().get()
  }

  /// Actions of the audit chain in order, without the three that the making of the store left, after the store was verified.
  func audit() throws -> [String] {
    #expect(try Verification(service).run().findings == [])
    desk.requestBegins()
    #expect(try desk.verifyAudit(tenant: service.defaultTenant).isIntact)
    return try desk.auditEntries(tenant: service.defaultTenant, after: 3, limit: 1000).map { "\($0.action) \($0.secretID) \($0.outcome)" }
  }
}

final class Waiter<T: Sendable>: Sendable {
  private let result = Locked<Result<T, any Error>?>(nil)
  private let done = OneTimeEvent()
  func give(_ value: Result<T, any Error>) {
    result.withLock { $0 = value }
    done.signal()
  }
  func take() throws -> Result<T, any Error> {
    done.wait()
    return try #require(result.withLock { $0 })
  }
}

@Suite struct SecretRoutesTests {
  @Test func aSecretsLife() throws {
    let rig = try Rig(open: true)
    let path = "/api/settings/secrets"
    #expect(try rig.send(.get, path).json == ["secrets": []])
    let made = try rig.send(.put, path, body: "{\"name\":\"A\",\"value\":\"v1\",\"description\":\"d\"}")
    #expect(made.status == 200 && made.json == ["name": "A", "description": "d"])
    let tag = try #require(made.headers["ETag"])
    #expect(try rig.send(.get, path + "/A").body == "v1")
    // D10: an absent description stays, null clears it, an absent value stays.
    #expect(try rig.send(.put, path, body: "{\"name\":\"A\",\"value\":\"v2\"}").json["description"] == "d")
    #expect(try rig.send(.put, path, body: "{\"name\":\"A\",\"description\":null}").json["description"] == nil)
    #expect(try rig.send(.get, path + "/A").body == "v2")
    // D6: the mask keeps, an empty value is a value.
    #expect(try rig.send(.put, path, body: "{\"name\":\"A\",\"value\":\"**********\"}").status == 200)
    #expect(try rig.send(.get, path + "/A").body == "v2")
    #expect(try rig.send(.put, path, body: "{\"name\":\"A\",\"value\":\"\"}").status == 200)
    #expect(try rig.send(.get, path + "/A").body.isEmpty)
    #expect(try rig.send(.put, path, body: "{\"name\":\"B\",\"value\":\"**********\"}").status == 422)
    #expect(try rig.send(.delete, path + "/A", headers: [.ifMatch: tag]).status == 412)
    #expect(try rig.send(.delete, path + "/A").json == ["deleted": true])
    #expect(try rig.send(.get, path + "/A").status == 404)
    #expect(try rig.send(.delete, path + "/A").status == 404)
    #expect(
      try rig.audit() == [
        "secret.create A allowed", "secret.read A allowed", "secret.update A allowed", "secret.update A allowed", "secret.read A allowed",
        "secret.update A allowed", "secret.read A allowed", "secret.update A allowed", "secret.read A allowed", "secret.delete A allowed",
      ])
  }

  /// A tag of a secret that is gone is none of the secret that has its name now.
  @Test func tagsDoNotComeBack() throws {
    let rig = try Rig(open: true)
    let path = "/api/settings/secrets"
    let body = "{\"name\":\"A\",\"value\":\"v\"}"
    let first = try #require(try rig.send(.put, path, body: body).headers["ETag"])
    #expect(try rig.send(.delete, path + "/A", headers: [.ifMatch: first]).status == 200)
    let second = try #require(try rig.send(.put, path, body: body).headers["ETag"])
    #expect(first != second)
    #expect(try rig.send(.put, path, body: body, headers: [.ifMatch: first]).status == 412)
    #expect(try rig.send(.put, path, body: body, headers: [.ifMatch: second]).status == 200)
  }

  @Test func exactBytesComeBack() throws {
    let rig = try Rig(open: true)
    for value in ["päss ☃ 🔑", "a\r\nb\n", " x ", "gAAAAABnot-a-token", "\u{0}"] {
      let body: JSONValue = ["name": "A", "value": .string(JSONString(value))]
      #expect(try rig.send(.put, "/api/settings/secrets", body: String(decoding: body.serialized(), as: UTF8.self)).status == 200)
      #expect(try rig.send(.get, "/api/settings/secrets/A").body == value)
    }
    let long = String(repeating: "x", count: 65_537)
    #expect(try rig.send(.put, "/api/settings/secrets", body: "{\"name\":\"A\",\"value\":\"\(long)\"}").status == 413)
    #expect(try rig.send(.put, "/api/settings/secrets", body: "{\"name\":\"A\",\"value\":\"\(long.dropLast())\"}").status == 200)
  }

  /// Every case of the project's JSON vectors against the route that stores a value: 4xx where it says so, never 5xx.
  @Test func everyJSONCase() throws {
    let rig = try Rig(open: true)
    let file = try Vectors.own("json/project_cases.json")
    for item in file["cases"].list {
      guard let text = item["text"].string else { continue }
      let reply = try rig.send(.put, "/api/settings/secrets", body: text.text)
      switch item["expect"].text {
      case "reject": #expect([400, 413, 422].contains(reply.status), "\(item["name"].text)")
      default: #expect(reply.status < 500, "\(item["name"].text)")
      }
    }
    #expect(file["cases"].list.count == 76)
  }
}

@Suite struct AccessTests {
  @Test func theOrderIsRouteKeyLevelBody() throws {
    let rig = try Rig()
    #expect(try rig.send(.get, "/api/nothing").status == 404)
    #expect(try rig.send(.post, "/api/settings/secrets", body: "{").status == 405)
    #expect(try rig.send(.put, "/api/settings/secrets", body: "{").status == 401)
    #expect(try rig.send(.put, "/api/settings/secrets", key: rig.newKey(.masked).text, body: "{").status == 403)
    #expect(try rig.send(.put, "/api/settings/secrets", key: rig.sessionKey, body: "{").status == 422)
  }

  @Test(arguments: [
    (Level.masked, [200, 403, 403, 200, 403, 403]), (.frontend, [200, 200, 403, 200, 403, 200]),
    (.backend, [200, 200, 200, 200, 200, 200]),
    (.lookup, [403, 403, 403, 403, 200, 403]),
  ])
  func levels(_ level: Level, _ expected: [Int]) throws {
    let rig = try Rig()
    #expect(try rig.send(.put, "/api/settings/secrets", key: rig.sessionKey, body: "{\"name\":\"A\",\"value\":\"v\"}").status == 200)
    let key = try rig.newKey(level).text
    let statuses = try [
      rig.send(.get, "/api/settings", key: key), rig.send(.get, "/api/settings", key: key, headers: [.exposeSecrets: "encrypted"]),
      rig.send(.get, "/api/settings", key: key, headers: [.exposeSecrets: "plaintext"]), rig.send(.get, "/api/settings/secrets", key: key),
      rig.send(.get, "/api/settings/secrets/A", key: key), rig.send(.patch, "/api/settings", key: key, body: "{\"misc_settings_diff\":{}}"),
    ].map(\.status)
    #expect(statuses == expected)
    #expect(try rig.audit().filter { $0.hasSuffix("denied") }.count == expected.filter { $0 == 403 }.count)
  }

  @Test func keysThatDoNotHold() throws {
    let rig = try Rig(environmentKeys: ["environment-key"])
    let revoked = try rig.newKey(.backend)
    #expect(try rig.send(.get, "/api/settings", key: revoked.text).status == 200)
    try rig.revoke(revoked.id)
    let expired = try rig.newKey(.backend, expiresAt: 1_795_478_400_000).text
    var wrong = rig.sessionKey
    wrong.removeLast()
    let admin = String(decoding: rig.text(rig.keys.admin), as: UTF8.self)
    for key in [nil, "", "x", revoked.text, expired, wrong, admin, "environment-keY", "environment-key2"] as [String?] {
      let reply = try rig.send(.get, "/api/settings", key: key)
      #expect(reply.status == 401 && reply.body == "{\"detail\":\"Unauthorized\"}")
    }
    #expect(try rig.send(.get, "/api/settings", key: "environment-key").status == 200)
    #expect(try rig.send(.get, "/alive").status == 200)
  }

  /// A level raised by SQL is noticed: the row's MAC does not hold.
  @Test func aChangedKeyRowIsRefused() throws {
    let rig = try Rig()
    let key = try rig.newKey(.masked)
    let waiter = Waiter<Void>()
    rig.store.write(
      { transaction in
        guard var row = try transaction.apiKey(key.id) else { return }
        row.role = "backend"
        try transaction.update(row)
      }, completion: { waiter.give($0) })
    try waiter.take().get()
    #expect(try rig.send(.get, "/api/settings", key: key.text, headers: [.exposeSecrets: "plaintext"]).status == 503)
  }

  /// A sealed value moved to another row opens nowhere.
  @Test func aMovedValueIsRefused() throws {
    let rig = try Rig(open: true)
    for name in ["A", "B"] {
      #expect(try rig.send(.put, "/api/settings/secrets", body: "{\"name\":\"\(name)\",\"value\":\"of \(name)\"}").status == 200)
    }
    let tenant = rig.service.defaultTenant
    let waiter = Waiter<Void>()
    rig.store.write(
      { transaction in
        guard var a = try transaction.secret(tenant: tenant, name: "A"), let b = try transaction.secret(tenant: tenant, name: "B") else {
          return
        }
        a.sealed = b.sealed
        try transaction.put(a)
      }, completion: { waiter.give($0) })
    try waiter.take().get()
    let reply = try rig.send(.get, "/api/settings/secrets/A")
    #expect(reply.status == 503 && !reply.body.contains("of B"))
    #expect(try rig.send(.get, "/api/settings/secrets/B").body == "of B")
  }

  @Test func corsIsTheSpecifications() throws {
    let rig = try Rig()
    let preflight = try rig.send(
      .options, "/api/settings",
      headers: [.origin: "http://localhost:3000", .accessControlRequestMethod: "PATCH", .accessControlRequestHeaders: "x"])
    #expect(
      preflight.status == 200 && preflight.body == "OK" && preflight.headers["Access-Control-Allow-Origin"] == "http://localhost:3000")
    for origin in ["https://evil.example", "null", "http://localhost.evil", "http://localhost:3000.evil", "http://user@localhost"] {
      let reply = try rig.send(.get, "/alive", headers: [.origin: origin])
      #expect(
        reply.status == 200 && reply.headers["Access-Control-Allow-Origin"] == nil
          && reply.headers["Access-Control-Allow-Credentials"] == "true")
      #expect(try rig.send(.options, "/api/settings", headers: [.origin: origin, .accessControlRequestMethod: "GET"]).status == 400)
    }
  }
}

@Suite struct SettingsRoutesTests {
  /// What a token holds must be text: stored, other bytes would make every later reading of the settings fail.
  @Test(arguments: [
    ("/api/settings", HTTPMethod.patch, "{\"agent_settings_diff\":{\"llm\":{\"api_key\":\"TOKEN\"}}}"),
    ("/api/settings/mcp/m", .post, "{\"url\":\"http://u\",\"headers\":{\"H\":\"TOKEN\"}}"),
    ("/api/profiles/p", .post, "{\"llm\":{\"model\":\"m\",\"api_key\":\"TOKEN\"}}"),
  ])
  func tokensOfBytesThatAreNoText(_ path: String, _ method: HTTPMethod, _ body: String) throws {
    let rig = try Rig(open: true)
    let ring = WireRing(primary: SecretBytes(copying: Array("wire".utf8)))
    func send(_ bytes: [UInt8]) throws -> Int {
      let token = String(decoding: try ring.seal(bytes, unixSeconds: 1), as: UTF8.self)
      let reply = try rig.send(method, path, body: body.split(separator: "TOKEN").joined(separator: token))
      #expect(!reply.body.contains(token))
      return reply.status
    }
    for bytes in [[0xFF, 0xFE], [0x61, 0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]] { #expect(try send(bytes) == 422) }
    #expect(try rig.send(.get, "/api/settings", headers: [.exposeSecrets: "plaintext"]).status == 200)
    #expect([200, 201].contains(try send(Array("päss".utf8))))
  }

  @Test func modesAndVersions() throws {
    let rig = try Rig(open: true)
    #expect(try rig.send(.get, "/api/settings").headers["ETag"] == "\"0\"")
    let change = "{\"agent_settings_diff\":{\"llm\":{\"api_key\":\"sk-1\"}}}"
    let changed = try rig.send(.patch, "/api/settings", body: change, headers: [.ifMatch: "\"0\""])
    #expect(changed.status == 200 && changed.headers["ETag"] == "\"1\"" && !changed.body.contains("sk-1"))
    #expect(try rig.send(.patch, "/api/settings", body: change, headers: [.ifMatch: "\"0\""]).status == 412)
    #expect(try rig.send(.get, "/api/settings").json["llm_api_key_is_set"] == true)
    let sealed = try rig.send(.get, "/api/settings", headers: [.exposeSecrets: " TRUE "]).json["agent_settings"]["llm"]["api_key"].text
    #expect(sealed.hasPrefix("gAAAAA"))
    #expect(try rig.send(.get, "/api/settings", headers: [.exposeSecrets: "plaintext"]).json["agent_settings"]["llm"]["api_key"] == "sk-1")
    #expect(try rig.send(.get, "/api/settings", headers: [.exposeSecrets: "x"]).status == 400)
    #expect(try rig.send(.get, "/api/settings", headers: [.ifNoneMatch: "W/\"1\""]).status == 304)
    // A token of ours sent back is the same key; one of nobody is named and changes nothing.
    #expect(try rig.send(.patch, "/api/settings", body: "{\"agent_settings_diff\":{\"llm\":{\"api_key\":\"\(sealed)\"}}}").status == 200)
    let refused = try rig.send(
      .patch, "/api/settings", body: "{\"agent_settings_diff\":{\"llm\":{\"api_key\":\"gAAAAAx\",\"model\":\"m\"}}}")
    #expect(refused.status == 422 && refused.json["pointers"] == ["/agent_settings_diff/llm/api_key"] && !refused.body.contains("gAAAAAx"))
    let after = try rig.send(.get, "/api/settings", headers: [.exposeSecrets: "plaintext"]).json["agent_settings"]["llm"]
    #expect(after["api_key"] == "sk-1" && after["model"] == "gpt-5.5")
    #expect(
      try rig.audit() == [
        "settings.update settings allowed", "settings.read_plaintext settings allowed", "settings.update settings allowed",
        "settings.read_plaintext settings allowed",
      ])
  }

  @Test(arguments: [
    ("", 422), ("null", 422), ("[]", 422), ("{}", 400), ("{\"agent_settings_diff\":null}", 400), ("{\"x\":1}", 400),
    ("{\"misc_settings_diff\":[]}", 422),
    ("{\"active_profile\":\"none\"}", 404), ("{\"active_profile\":\"a b\"}", 422), ("{\"active_agent_profile_id\":\"x\"}", 422),
    ("{\"active_agent_profile_id\":\"11111111-2222-3333-4444-555555555555\"}", 200),
    ("{\"misc_settings_diff\":{\"a\":1},\"misc_settings_diff\":{}}", 422),
  ])
  func bodies(_ body: String, _ status: Int) throws {
    #expect(try Rig(open: true).send(.patch, "/api/settings", body: body).status == status)
  }

  /// Uses are reserved 4,096 at a time, and what is reserved counts as used.
  @Test func aKeyVersionIsReplacedAtItsLimit() throws {
    let rig = try Rig(open: true, wrapLimit: 8192)
    let tenant = rig.service.defaultTenant
    for number in 0..<4100 {
      let reply = try rig.send(.put, "/api/settings/secrets", body: "{\"name\":\"S\",\"value\":\"v\(number)\"}")
      guard reply.status == 200 else {
        Issue.record("status \(reply.status) at \(number)")
        return
      }
    }
    let row = try rig.store.makeReader().secret(tenant: tenant, name: "S")
    #expect(row?.kekVersion == 2)
    #expect(try rig.send(.get, "/api/settings/secrets/S").body == "v4099")
  }

  @Test func otherParts() throws {
    let rig = try Rig(open: true)
    for path in [
      "/", "/server_info", "/docs", "/redoc", "/openapi.json", "/health", "/ready", "/api/settings/agent-schema",
      "/api/settings/conversation-schema",
    ] {
      #expect(try rig.send(.get, path).status == 200)
    }
    let redirect = try rig.send(.get, "/api/settings/?a=1")
    #expect(redirect.status == 307 && redirect.headers["Location"] == "https://localhost/api/settings?a=1")
    #expect(try rig.send(.patch, "/api/settings", body: "{}", headers: [.contentType: "text/plain"]).status == 415)
    for unserved in ["/api/conversations/search", "/api/mcp/test", "/api/llm/models"] {
      #expect(try rig.send(.get, unserved).status == 501)
      #expect(try Rig().send(.get, unserved).status == 401)
    }
  }
}
