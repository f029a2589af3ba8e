import Store
import TestSupport
import Testing

/// The number that says whether what was worked out of tenants, keys, agents and their places still holds.
@Suite struct StructureTests {
  private typealias Body = @Sendable (any StoreTransaction) throws -> Void

  private let directory = TemporaryDirectory()
  private static let tenant = TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, settings: "", mac: [1])
  private static let key = APIKeyRow(
    id: "k1", tenant: "t1", kind: "session", role: "backend", name: "n", digest: [1], createdAt: 1, expiresAt: nil, revokedAt: nil,
    agent: nil, mac: [1])
  private static let agent = AgentRow(
    tenant: "t1", id: "a", name: "n", description: "", createdAt: 1, createdBy: "x", disabledAt: nil, mac: [1])
  private static let member = MembershipRow(
    tenant: "t1", agent: "a", scope: "team", scopeID: "s", role: "reader", priority: 0, expiresAt: nil, createdAt: 1, mac: [1])

  private static let structural: [(String, Body)] = [
    ("tenant made", { try $0.insert(tenant) }), ("tenant changed", { try $0.update(tenant) }), ("key made", { try $0.insert(key) }),
    ("key changed", { try $0.update(key) }),
    ("team", { try $0.put(TeamRow(tenant: "t1", id: "s", name: "n", createdAt: 1, mac: [1])) }),
    ("project", { try $0.put(ProjectRow(tenant: "t1", id: "p", name: "n", team: nil, createdAt: 1, mac: [1])) }),
    ("agent", { try $0.put(agent) }), ("membership", { try $0.put(member) }),
    ("membership gone", { _ = try $0.deleteMembership(tenant: "t1", agent: "a", scope: "team", scopeID: "s") }),
    ("agent gone", { _ = try $0.deleteAgent(tenant: "t1", id: "a") }),
    ("project gone", { _ = try $0.deleteProject(tenant: "t1", id: "p") }),
    ("team gone", { _ = try $0.deleteTeam(tenant: "t1", id: "s") }), ("tenant gone", { try $0.deleteContents(ofTenant: "t1") }),
  ]

  private static let others: [(String, Body)] = [
    ("record", { try $0.setRecord("some", [1]) }), ("sequence", { _ = try $0.nextSequence(tenant: "t1") }),
    ("use", { try $0.put(KeyUseRow(tenant: "t1", id: "k1", lastUsedAt: 1, uses: 1)) }),
    (
      "document",
      {
        try $0.put(
          DocumentRow(
            tenant: "t1", collection: "c", name: "n", incarnation: 1, version: 1, kekVersion: 1, sealed: [1], createdAt: 1, updatedAt: 1))
      }
    ), ("nothing", { _ in }),
  ]

  private func version(_ reader: any StoreReader) throws -> StructureVersion {
    try reader.turnBegins()
    defer { reader.turnEnds() }
    return try #require(reader.structure)
  }

  @Test func everyChangeOfItAdvancesTheNumberAndNothingElseDoes() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    #expect(reader.structure == nil)
    try store.perform(Self.structural[0].1)
    for (name, body) in Self.others {
      let before = try version(reader)
      try store.perform(body)
      #expect(try version(reader) == before, "\(name)")
    }
    for (name, body) in Self.structural.dropFirst() {
      let before = try version(reader)
      try store.perform(body)
      #expect(try version(reader) != before, "\(name)")
    }
  }

  @Test func whatCameToNothingChangesNothing() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform { try $0.insert(Self.tenant) }
    let before = try version(reader)
    #expect(throws: StoreError.conflict) {
      try store.perform { transaction in
        try transaction.update(Self.tenant)
        throw StoreError.conflict
      }
    }
    try store.perform { _ in }
    let after = try version(reader)
    // Undone with a savepoint it may count: what was worked out is worked out again, no more.
    if case .number(let old) = before, case .number(let new) = after { #expect(new - old <= 1) } else { Issue.record("no numbers") }
  }

  /// In a graceful restart the successor reads while its predecessor writes: then every commit counts.
  @Test func aSuccessorTrustsNoNumberOfItsOwnBeforeItWrites() throws {
    let path = directory.path + "/store"
    let first = try SQLiteStore(directory: path)
    try first.perform { try $0.insert(Self.tenant) }
    let second = try SQLiteStore(directory: path, lock: .awaited)
    let reader = try second.makeReader()
    let before = try version(reader)
    guard case .snapshot = before else {
      Issue.record("\(before)")
      return
    }
    #expect(try version(reader) == before)
    try first.perform { try $0.insert(Self.key) }
    #expect(try version(reader) != before)
    first.close()
    try second.perform { try $0.update(Self.key) }
    if case .snapshot = try version(reader) { Issue.record("still by snapshot") }
    second.close()
  }
}
