import Glibc
import KeyRing
import Model
import SecretMemory
import Service
import Store
import StrictJSON
import TestSupport
import Testing

/// T30: a store of every released schema opens with this program, whole.
@Suite struct BaselineTests {
  private let directory = TemporaryDirectory()

  @Test func thereAreSome() { #expect(Baselines.schemas.first == 1) }

  @Test(arguments: Baselines.schemas) func everySecretReadsBack(_ schema: Int) throws {
    let expected = try Baselines.expected(schema: schema)
    let store = try store(schema)
    defer { store.close() }
    let service = try service(schema, store, wire: expected["wireSecret"].text)
    let report = try Verification(service).run()
    #expect(report.findings == [])
    #expect(report.auditEntries == expected["auditEntries"].integer)
    let desk = try Desk(service)
    let principal = Principal(tenant: service.defaultTenant, actor: .environment, keyID: "", level: .backend)
    for secret in expected["secrets"].list {
      let name = try #require(SecretName(Array(secret["name"].text.utf8)))
      #expect(text(try desk.secretValue(name, for: principal, RequestOrigin(id: "r", address: "")).value) == secret["value"].string?.utf8)
    }
    #expect(try desk.secrets(for: principal).map(\.name) == expected["secrets"].list.map { $0["name"].text })
    guard case .exposed(let settings) = try desk.settings(.plaintext, for: principal).body else { throw ServiceError.notFound }
    let document = try JSONValue.parse(text(settings.value), limits: JSONLimits(bytes: 1 << 20, depth: 64, members: 10_000))
    let lost = Self.secrets(of: expected["agentSettings"]).subtracting(Self.secrets(of: document["agent_settings"]))
    #expect(lost == [])
  }

  /// Before schema 8 rows of KEKs had no MAC: the first who has the root key makes them, and nobody later. The KEKs stay.
  @Test(arguments: Baselines.schemas.filter { $0 < 8 }) func rowsOfKEKsGetTheirMACsOnce(_ schema: Int) throws {
    let store = try store(schema)
    defer { store.close() }
    let reader = try store.makeReader()
    let tenant = try #require(try reader.tenants(after: "", limit: 1).first).id
    let before = try #require(try reader.kek(tenant: tenant, version: 1))
    #expect(before.mac == [])
    #expect(try Verification(service(schema, store)).run().findings == [])
    reader.refresh(.everything)
    var after = try #require(try reader.kek(tenant: tenant, version: 1))
    #expect(after.mac.count == 32)
    after.mac = []
    #expect(after == before)
    let done = Waiter<Void>()
    store.write({ [after] in try $0.update(after) }) { done.give($0) }
    try done.take()
    let findings = try Verification(service(schema, store)).run().findings
    #expect(findings.first.map { "\($0.place) \($0.problem.rawValue)" } == "keks/1 changed")
    reader.refresh(.everything)
    #expect(try reader.kek(tenant: tenant, version: 1) == after)
  }

  /// Brought to this program's schema, by nobody who has the root key.
  private func store(_ schema: Int) throws -> SQLiteStore {
    let path = directory.path + "/store"
    #expect(unsafe mkdir(path, 0o700) == 0)
    try write(try Baselines.file("coffer.db", schema: schema), to: path + "/coffer.db")
    return try SQLiteStore(directory: path)
  }

  private func service(_ schema: Int, _ store: SQLiteStore, wire: String = "w") throws -> Service {
    let root = try RootKey(text: SecretBytes(copying: try Baselines.file("root.key", schema: schema)))
    let ring = WireRing(primary: SecretBytes(copying: Array(wire.utf8)))
    return try Service(store: store, root: root, wire: ring, options: Service.Options(), now: { 1_795_478_400_000 })
  }

  private func text(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }

  /// `POINTER=VALUE` of every text that holds the mark of a secret.
  private static func secrets(of value: JSONValue, at pointer: String = "") -> Set<String> {
    if let text = value.string?.text { return text.contains("value-") ? [pointer + "=" + text] : [] }
    var found: Set<String> = []
    for (index, element) in (value.array ?? []).enumerated() { found.formUnion(secrets(of: element, at: pointer + "/\(index)")) }
    for member in value.object?.members ?? [] { found.formUnion(secrets(of: member.value, at: pointer + "/" + member.name.text)) }
    return found
  }
}
