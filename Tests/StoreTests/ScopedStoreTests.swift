import Glibc
import Store
import TestSupport
import Testing
import Threads

/// What every store must do for the scoped dialect; run here against SQLite.
@Suite struct ScopedStoreConformance {
  private let directory = TemporaryDirectory()
  private static let place = ScopeKey(tenant: "t1", scope: "team", scopeID: "s1")

  private func open() throws -> SQLiteStore {
    let store = try SQLiteStore(directory: directory.path + "/store")
    try store.perform { try $0.insert(TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, settings: "{}", mac: [1])) }
    return store
  }

  private static func secret(_ id: String, _ incarnation: UInt64, in place: ScopeKey = place, deletedAt: Int64? = nil) -> ScopedSecretRow {
    ScopedSecretRow(
      place: place, secretID: id, incarnation: incarnation, name: "n", category: "c", tags: "[]", revision: .max, kekVersion: 2,
      createdAt: 1, updatedAt: 2, createdBy: "x", updatedBy: "y", deletedAt: deletedAt, purgeAfter: deletedAt.map { $0 + 10 }, mac: [3])
  }

  private static func field(_ key: String, _ version: UInt64, _ state: FieldRow.State, incarnation: UInt64 = .max) -> FieldRow {
    FieldRow(
      tenant: "t1", incarnation: incarnation, fieldKey: key, version: version, state: state, sensitivity: "encrypted", dataKeyID: [7],
      kekVersion: 1, createdAt: 5, createdBy: "x", purgeAfter: nil, mac: [8], sealed: [9, 9])
  }

  @Test func structureComesBackAsItWent() throws {
    let store = try open()
    defer { store.close() }
    let team = TeamRow(tenant: "t1", id: "team_1", name: "n", createdAt: 1, mac: [1])
    let project = ProjectRow(tenant: "t1", id: "proj_1", name: "n", team: nil, createdAt: 1, mac: [1])
    let agent = AgentRow(tenant: "t1", id: "agt_1", name: "n", description: "", createdAt: 1, createdBy: "x", disabledAt: 4, mac: [1])
    let member = MembershipRow(
      tenant: "t1", agent: "agt_1", scope: "team", scopeID: "team_1", role: "reader", priority: -1, expiresAt: nil, createdAt: 1, mac: [1])
    let invite = InviteRow(
      tenant: "t1", id: "i1", label: "l", digest: [1], memberships: "[]", expiresAt: 1, maxUses: 2, uses: 0, createdAt: 1,
      createdBy: "x", revokedAt: nil, mac: [1])
    let part = AgentKeyPart(agent: "agt_1", parent: "", grants: "{}", createdBy: "x", maxUses: 3, isRetiring: true)
    let key = APIKeyRow(
      id: "k1", tenant: "t1", kind: "agent", role: "", name: "n", digest: [1], createdAt: 1, expiresAt: 2, revokedAt: nil, agent: part,
      mac: [1])
    let answer = IdempotencyRow(tenant: "t1", id: [1], bodyDigest: [2], status: 200, entityTag: "", body: [3], createdAt: 4, mac: [5])
    let use = KeyUseRow(tenant: "t1", id: "k1", lastUsedAt: 1, uses: 2, mac: [6])
    try store.perform { transaction in
      try transaction.put(team)
      try transaction.put(project)
      try transaction.put(agent)
      try transaction.put(member)
      try transaction.put(invite)
      try transaction.insert(key)
      try transaction.put(answer)
      try transaction.put(use)
    }
    let reader = try store.makeReader()
    #expect(try reader.tenant("t1")?.settings == "{}")
    #expect(try reader.team(tenant: "t1", id: "team_1") == team && reader.teams(tenant: "t1", after: "", limit: 9) == [team])
    #expect(try reader.project(tenant: "t1", id: "proj_1") == project && reader.projects(tenant: "t1", after: "", limit: 9) == [project])
    #expect(try reader.agent(tenant: "t1", id: "agt_1") == agent && reader.agents(tenant: "t1", after: "agt_1", limit: 9).isEmpty)
    #expect(try reader.memberships(tenant: "t1", agent: "agt_1") == [member])
    #expect(try reader.members(tenant: "t1", scope: "team", scopeID: "team_1", limit: 9) == [member])
    #expect(try reader.invite("i1") == invite && reader.invites(tenant: "t1", after: "", limit: 9) == [invite])
    #expect(try reader.apiKey("k1") == key && reader.apiKeys(tenant: "t1", agent: "agt_1", after: "", limit: 9) == [key])
    #expect(try reader.idempotentAnswer(tenant: "t1", id: [1]) == answer)
    #expect(try reader.keyUse(tenant: "t1", id: "k1") == use)
    try store.perform { transaction in
      #expect(try transaction.deleteTeam(tenant: "t1", id: "team_1") && !transaction.deleteTeam(tenant: "t1", id: "team_1"))
      #expect(try transaction.deleteProject(tenant: "t1", id: "proj_1") && transaction.deleteAgent(tenant: "t1", id: "agt_1"))
      #expect(try transaction.deleteMembership(tenant: "t1", agent: "agt_1", scope: "team", scopeID: "team_1"))
      try transaction.forgetAnswers(tenant: "t1", before: 4, limit: 9)
      #expect(try transaction.idempotentAnswer(tenant: "t1", id: [1]) != nil)
      try transaction.forgetAnswers(tenant: "t1", before: 5, limit: 9)
      #expect(try transaction.idempotentAnswer(tenant: "t1", id: [1]) == nil)
    }
  }

  @Test func canariesAreAListOfTheirOwn() throws {
    let store = try open()
    defer { store.close() }
    @Sendable func custom(_ name: String, _ position: Int64, _ isCanary: Bool) -> SecretRow {
      SecretRow(
        tenant: "t1", name: name, position: position, description: nil, incarnation: 1, version: 1, kekVersion: 1,
        sealed: [UInt8](repeating: 7, count: 20_000), createdAt: 1, updatedAt: 1, isCanary: isCanary, mac: [1])
    }
    var (dead, live) = (Self.secret("a", 9, deletedAt: 5), Self.secret("b", 2))
    (dead.isCanary, live.isCanary) = (true, true)
    let rows = (custom("A", 1, false), custom("B", 2, true), [dead, live, Self.secret("c", 3)])
    try store.perform { transaction in
      try transaction.put(rows.0)
      try transaction.put(rows.1)
      for row in rows.2 { try transaction.put(row) }
      for alerts in [1, 2] as [Int64] {
        try transaction.put(CanaryAlertRow(tenant: "t1", place: "p", alerts: alerts, lastAt: 7, mac: [UInt8(alerts)]))
      }
    }
    let reader = try store.makeReader()
    #expect(try reader.canaries(tenant: "t1", limit: 9) == [rows.1] && reader.canaries(tenant: "t2", limit: 9).isEmpty)
    #expect(try reader.secret(tenant: "t1", name: "B")?.isCanary == true && reader.secret(tenant: "t1", name: "A")?.isCanary == false)
    #expect(try reader.scopedCanaries(tenant: "t1", limit: 9) == [dead, live] && reader.scopedCanaries(tenant: "t1", limit: 1) == [dead])
    #expect(try reader.scopedField(Self.place, secret: "b", key: "f")?.0 == live)
    let alert = CanaryAlertRow(tenant: "t1", place: "p", alerts: 2, lastAt: 7, mac: [2])
    #expect(try reader.canaryAlert(tenant: "t1", place: "p") == alert && reader.canaryAlert(tenant: "t1", place: "q") == nil)
    #expect(
      try reader.canaryAlerts(tenant: "t1", after: "", limit: 9) == [alert]
        && reader.canaryAlerts(tenant: "t1", after: "p", limit: 9).isEmpty)
    try store.perform { transaction in
      try transaction.put(custom("B", 2, false))
      try transaction.forgetCanaryAlerts(tenant: "t1", place: "p")
    }
    #expect(try reader.canaries(tenant: "t1", limit: 9).isEmpty && reader.canaryAlerts(tenant: "t1", after: "", limit: 9).isEmpty)
  }

  @Test func deletedSecretsStayBesideTheLiveOne() throws {
    let store = try open()
    defer { store.close() }
    let other = ScopeKey(tenant: "t1", scope: "team", scopeID: "s2")
    let (live, first, second) = (Self.secret("a", 1), Self.secret("a", .max, deletedAt: 5), Self.secret("a", 3, deletedAt: 6))
    try store.perform { transaction in
      for row in [first, live, second, Self.secret("b", 4), Self.secret("a", 5, in: other)] { try transaction.put(row) }
    }
    let reader = try store.makeReader()
    #expect(try reader.scopedSecret(Self.place, id: "a") == live)
    #expect(try reader.scopedSecret(Self.place, id: "A") == nil)
    #expect(try reader.deletedSecrets(Self.place, id: "a", limit: 9) == [second, first])
    #expect(try reader.scopedSecrets(Self.place, after: "", limit: 9).map(\.secretID) == ["a", "b"])
    #expect(try reader.scopedSecrets(Self.place, after: "a", limit: 1).map(\.secretID) == ["b"])
    #expect(try reader.dueSecrets(tenant: "t1", before: 15, limit: 9) == [first])
    let all = try reader.allSecrets(after: ScopeKey(tenant: "t1", scope: "", scopeID: ""), id: "", grave: 0, limit: 9)
    #expect(all.map(\.secret.secretID) == ["a", "a", "a", "b", "a"])
    #expect(try reader.allSecrets(after: Self.place, id: "a", grave: .max, limit: 1).map(\.secret.secretID) == ["b"])
    #expect(try reader.allSecrets(after: Self.place, id: "b", grave: .max, limit: 9).map(\.secret.place) == [other])
    // No row is lost between pages, wherever one ends.
    for (row, next) in zip(all, all.dropFirst()) {
      let (place, id) = (row.secret.place, row.secret.secretID)
      #expect(try reader.allSecrets(after: place, id: id, grave: row.grave, limit: 1).map(\.secret) == [next.secret])
    }
    try store.perform { transaction in
      try transaction.delete(live)
      #expect(try transaction.scopedSecret(Self.place, id: "a") == nil)
      #expect(try transaction.resize(Self.place, by: 2) == 2)
      #expect(try transaction.resize(Self.place, by: -1) == 1)
      #expect(try transaction.scopeSize(other) == 0)
    }
    #expect(throws: StoreError.conflict) { try store.perform { try $0.delete(live) } }
  }

  @Test func fieldsAndTheirVersions() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { transaction in
      try transaction.put(Self.secret("a", .max))
      for row in [
        Self.field("f", 3, .live), Self.field("f", 2, .retained), Self.field("f", 1, .live), Self.field("g", 9, .removed),
        Self.field("f", 1, .live, incarnation: 1),
      ] { try transaction.insert(row) }
    }
    let reader = try store.makeReader()
    let found = try #require(try reader.scopedField(Self.place, secret: "a", key: "f"))
    #expect(found.0 == Self.secret("a", .max) && found.1 == Self.field("f", 3, .live))
    #expect(try reader.scopedField(Self.place, secret: "a", key: "none")?.1 == nil)
    #expect(try reader.scopedField(Self.place, secret: "none", key: "f") == nil)
    #expect(try reader.fields(tenant: "t1", incarnation: .max, withValues: true).map(\.version) == [3, 9])
    let listed = try reader.fields(tenant: "t1", incarnation: .max, withValues: false)
    #expect(listed.map(\.version) == [3, 9] && listed.map(\.state) == [.live, .removed] && listed.allSatisfy { $0.sealed.isEmpty })
    #expect(try reader.fieldVersions(tenant: "t1", incarnation: .max, key: "f", limit: 9).map(\.version) == [3, 2, 1])
    #expect(try reader.fieldVersion(tenant: "t1", incarnation: .max, key: "f", version: 2)?.state == .retained)
    #expect(try reader.fieldVersion(tenant: "t1", incarnation: .max, key: "f", version: 4) == nil)
    #expect(throws: StoreError.conflict) { try store.perform { try $0.insert(Self.field("f", 2, .live)) } }
    #expect(throws: StoreError.conflict) { try store.perform { try $0.update(Self.field("f", 4, .live)) } }
    try store.perform { transaction in
      try transaction.update(Self.field("f", 3, .removed))
      #expect(try transaction.fields(tenant: "t1", incarnation: .max, withValues: true).first == Self.field("f", 3, .removed))
      try transaction.deleteFieldVersions(tenant: "t1", incarnation: .max, key: "f", through: 2)
      #expect(try transaction.fieldVersions(tenant: "t1", incarnation: .max, key: "f", limit: 9).map(\.version) == [3])
      #expect(try transaction.fields(tenant: "t1", incarnation: .max, withValues: true).map(\.version) == [3, 9])
      try transaction.deleteFields(tenant: "t1", incarnation: .max)
      #expect(try transaction.fields(tenant: "t1", incarnation: .max, withValues: true).isEmpty)
      #expect(try transaction.fields(tenant: "t1", incarnation: 1, withValues: true).map(\.fieldKey) == ["f"])
    }
  }

  /// Bodies of one batch see what those before them wrote, and nothing of one that was undone.
  @Test func aBatchSeesItsOwnTenantAndKeys() throws {
    let store = try open()
    defer { store.close() }
    var tenant = TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, settings: "{}", mac: [1])
    var key = KEKRow(tenant: "t1", version: 1, kekID: [1], rootKeyID: "r", wrapped: [2], createdAt: 1, wrapsReserved: 0, mac: [])
    let first = key
    try store.perform { try $0.insert(first) }
    tenant.activeKEKVersion = 2
    key.wrapsReserved = 10
    let (kept, keptKey) = (tenant, key)
    tenant.activeKEKVersion = 3
    key.wrapsReserved = 20
    let (undone, undoneKey) = (tenant, key)
    let (begun, isReady) = (OneTimeEvent(), OneTimeEvent())
    let seen = Locked<[[Int64?]]>([])
    let look: @Sendable (any StoreTransaction) throws -> Void = { transaction in
      let row = try transaction.tenant("t1").map { Int64($0.activeKEKVersion) }
      let reserved = try transaction.kek(tenant: "t1", version: 1)?.wrapsReserved
      seen.withLock { $0.append([row, reserved]) }
    }
    let bodies: [@Sendable (any StoreTransaction) throws -> Void] = [
      look,
      { transaction in
        try transaction.update(kept)
        try transaction.update(keptKey)
      },
      look,
      { transaction in
        try look(transaction)
        try transaction.update(undone)
        try transaction.update(undoneKey)
        try look(transaction)
        throw StoreError.conflict
      },
      look,
    ]
    // The first body holds the writer, alone, until the others wait: they are one batch.
    store.write(
      { _ in
        begun.signal()
        isReady.wait()
      }, completion: { _ in })
    begun.wait()
    for body in bodies { store.write(body, completion: { _ in }) }
    isReady.signal()
    try store.perform { _ in }
    // A batch that was undone ran before: what counts is what the last run of each body saw.
    #expect(seen.withLock { $0.suffix(5) } == [[1, 0], [2, 10], [2, 10], [3, 20], [2, 10]])
    #expect(store.commitFigures.commits <= 5)
    #expect(try store.makeReader().tenant("t1") == kept)
  }

  @Test func aDataKeyIsThereOnceForGood() throws {
    let store = try open()
    defer { store.close() }
    var row = DataKeyRow(
      tenant: "t1", id: [1, 2], incarnation: .max, fieldKey: "f", fieldVersion: 1, digest: [3], kekVersion: 1, boundAt: 4, mac: [5])
    let first = row
    try store.perform { try $0.insert(first) }
    #expect(throws: StoreError.conflict) { try store.perform { try $0.insert(first) } }
    row.fieldVersion = 2
    let second = row
    try store.perform { try $0.update(second) }
    #expect(try store.makeReader().dataKey(tenant: "t1", id: [1, 2]) == second)
    #expect(try store.makeReader().dataKey(tenant: "t2", id: [1, 2]) == nil)
  }

  @Test func historyIsNewestFirstAndOfOneSecret() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { transaction in
      for sequence in 1...6 as ClosedRange<Int64> {
        try transaction.append(
          AuditRow(
            tenant: "t1", sequence: sequence, at: "at", actorType: "a", actorID: "", keyID: "", action: "x",
            scope: sequence == 4 ? "" : "team", scopeID: "s1", secretID: sequence == 5 ? "other" : "a", fieldKey: "", revision: "",
            outcome: "allowed", requestID: "r", details: "", hash: [], mac: []))
      }
    }
    let reader = try store.makeReader()
    #expect(try reader.auditEntries(Self.place, secret: "a", before: .max, limit: 2).map(\.sequence) == [6, 3])
    #expect(try reader.auditEntries(Self.place, secret: "a", before: 3, limit: 9).map(\.sequence) == [2, 1])
    #expect(try reader.auditHead(tenant: "t1")?.at == "at")
  }
}
