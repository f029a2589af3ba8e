import TestSupport
import Testing
import Threads

@testable import Store

/// The numbers that say whether what was worked out of rows still holds.
@Suite struct ChangeClockTests {
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
    ("use", { try $0.put(KeyUseRow(tenant: "t1", id: "k1", lastUsedAt: 1, uses: 1, mac: [1])) }),
    (
      "document",
      {
        try $0.put(
          DocumentRow(
            tenant: "t1", collection: "c", name: "n", incarnation: 1, version: 1, kekVersion: 1, sealed: [1]))
      }
    ),
    (
      "scoped secret",
      {
        try $0.put(
          ScopedSecretRow(
            place: place, secretID: "a", incarnation: 1, name: "n", category: "", tags: "[]", revision: 1, kekVersion: 1, createdAt: 1,
            updatedAt: 1, createdBy: "x", updatedBy: "x", deletedAt: nil, purgeAfter: nil, isCanary: false, mac: []))
      }
    ),
    (
      "field",
      {
        try $0.insert(
          FieldRow(
            tenant: "t1", incarnation: 1, fieldKey: "f", version: 1, state: .live, sensitivity: "plaintext", dataKeyID: [],
            kekVersion: 1, createdAt: 1, createdBy: "x", purgeAfter: nil, mac: [], sealed: [1]))
      }
    ),
    (
      "data key",
      {
        try $0.insert(
          DataKeyRow(
            tenant: "t1", id: [1], incarnation: 1, fieldKey: "f", fieldVersion: 1, digest: [1], kekVersion: 1, boundAt: 1, mac: []))
      }
    ), ("fields gone", { try $0.deleteFields(tenant: "t1", incarnation: 1) }),
    ("trim", { try $0.trimAudit(tenant: "t1", through: 0, checkpoint: [1]) }),
  ]

  private static let place = ScopeKey(tenant: "t1", scope: "team", scopeID: "s")

  private static func entries(_ range: ClosedRange<Int64>) -> Body {
    { transaction in
      for sequence in range {
        try transaction.append(
          AuditRow(
            tenant: "t1", sequence: sequence, at: "at", actorType: "a", actorID: "", keyID: "", action: "x", scope: "team", scopeID: "s",
            secretID: "a", fieldKey: "", revision: "", outcome: "allowed", requestID: "r", details: "", hash: [], mac: []))
      }
    }
  }

  private func structure(_ reader: any StoreReader) throws -> ReadVersion {
    reader.refresh(.everything)
    defer { reader.turnEnds() }
    return try #require(reader.structure)
  }

  private func contents(_ reader: any StoreReader) throws -> ReadVersion {
    reader.refresh(.everything)
    defer { reader.turnEnds() }
    return try #require(reader.contents)
  }

  @Test func everyChangeOfTheStructureAdvancesItsNumberAndNothingElseDoes() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    #expect(reader.structure == nil)
    try store.perform(Self.structural[0].1)
    for (name, body) in Self.others {
      let before = try structure(reader)
      try store.perform(body)
      #expect(try structure(reader) == before, "\(name)")
    }
    let before = try structure(reader)
    try store.perform { _ in }
    #expect(try structure(reader) == before)
    for (name, body) in Self.structural.dropFirst() {
      let before = try structure(reader)
      try store.perform(body)
      #expect(try structure(reader) != before, "\(name)")
    }
  }

  @Test func everyChangeButAuditEntriesAdvancesTheNumberOfContents() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    #expect(reader.contents == nil)
    let changes: [(String, Body)] = Self.structural.prefix(1) + Self.others + Self.structural.dropFirst()
    for (name, body) in changes {
      let before = try contents(reader)
      try store.perform(body)
      #expect(try contents(reader) != before, "\(name)")
    }
    try store.perform { try $0.insert(TenantRow(id: "t2", name: "two", createdAt: 1, activeKEKVersion: 1, settings: "", mac: [1])) }
    let before = try contents(reader)
    // With what the index of the chain writes.
    for part in 0..<30 as Range<Int64> { try store.perform(Self.entries(part * 100 + 1...part * 100 + 100)) }
    try store.perform { _ in }
    #expect(try contents(reader) == before)
    try store.perform { transaction in
      try Self.entries(3001...3001)(transaction)
      try transaction.setRecord("some", [2])
    }
    #expect(try contents(reader) != before)
  }

  /// Until the first read: what is committed before it can be seen.
  @Test func aTurnSeesOneSnapshotFromItsFirstReadOn() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    reader.refresh(.everything)
    try store.perform(Self.structural[0].1)
    #expect(try reader.tenant("t1") == Self.tenant)
    try store.perform(Self.structural[1].1)
    try store.perform { try $0.put(Self.agent) }
    #expect(try reader.agent(tenant: "t1", id: "a") == nil)
    reader.turnEnds()
    #expect(try reader.agent(tenant: "t1", id: "a") == Self.agent)
  }

  /// Whatever it was, also an audit entry alone, and also when it was not read before.
  @Test(arguments: [true, false]) func afterACommitATurnSeesWhatItDid(hasRead: Bool) throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform(Self.structural[0].1)
    reader.refresh(.everything)
    defer { reader.turnEnds() }
    for sequence in 1...10 as ClosedRange<Int64> {
      if hasRead { #expect(try reader.tenant("t1") == Self.tenant) }
      try store.perform(Self.entries(sequence...sequence))
      reader.refresh(.everything)
      #expect(try reader.auditHead(tenant: "t1")?.sequence == sequence)
    }
  }

  /// Its contents are those of the newest one, but what is kept of the file is kept on. Only who reads entries needs another.
  @Test func overAuditEntriesATurnKeepsItsSnapshotUntilTheyAreRead() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform(Self.structural[0].1)
    reader.refresh(.contents)
    defer { reader.turnEnds() }
    #expect(try reader.tenant("t1") == Self.tenant)
    let other = try SQLiteConnection(path: directory.path + "/store/" + StoreFile.name, role: .writer)
    for sequence in 1...10 as ClosedRange<Int64> {
      try other.executeScript("UPDATE tenants SET name = 'not told of'")
      let name = try reader.tenant("t1")?.name
      try store.perform(Self.entries(sequence...sequence))
      reader.refresh(.contents)
      #expect(try reader.tenant("t1")?.name == name)
      #expect(try reader.auditHead(tenant: "t1")?.sequence == sequence)
      #expect(try reader.tenant("t1")?.name == "not told of")
    }
    try store.perform(Self.entries(11...11))
    reader.refresh(.contents)
    #expect(try reader.auditEntries(tenant: "t1", after: 10, limit: 10).count == 1)
    try store.perform(Self.entries(12...12))
    reader.refresh(.contents)
    #expect(try reader.auditEntries(Self.place, secret: "a", before: .max, limit: 1).map(\.sequence) == [12])
  }

  @Test func overAChangeATurnDoesNotKeepItsSnapshot() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform(Self.structural[0].1)
    reader.refresh(.contents)
    defer { reader.turnEnds() }
    for number in 1...10 as ClosedRange<UInt32> {
      _ = try reader.record("count")
      try store.perform { transaction in
        try Self.entries(Int64(number)...Int64(number))(transaction)
        try transaction.setRecord("count", Self.count(number))
      }
      reader.refresh(.contents)
      #expect(try Self.count(reader) == number)
      // Over entries alone, before and after.
      try store.perform { _ in }
      reader.refresh(.contents)
    }
  }

  /// Who reads what a commit did tells of it, before the writer may have: whoever is asked next must know it too.
  @Test func whatOneReaderSawTheNextOneSees() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    try store.perform { try $0.setRecord("count", Self.count(0)) }
    let (one, other) = (try store.makeReader(), try store.makeReader())
    defer {
      one.turnEnds()
      other.turnEnds()
    }
    let written = OneTimeEvent()
    PlainThread.start(named: "commits") {
      defer { written.signal() }
      for number in 1...3000 as ClosedRange<UInt32> {
        do { try store.perform { try $0.setRecord("count", Self.count(number)) } } catch { return }
      }
    }
    defer { written.wait() }
    var remembered: (count: UInt32, contents: ReadVersion)?
    while try Self.count(other) < 3000 {
      one.turnEnds()
      one.refresh(.contents)
      let seen = try Self.count(one)
      other.refresh(.contents)
      let contents = try #require(other.contents)
      let count = try Self.count(other)
      try #require(count >= seen)
      if let remembered, remembered.contents == contents { try #require(remembered.count >= seen) }
      remembered = (count, contents)
    }
  }

  private static func count(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

  private static func count(_ reader: any StoreReader) throws -> UInt32 {
    try #require(try reader.record("count")).reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// What was looked up for one request of a turn holds for the next one.
  @Test func withoutACommitATurnKeepsItsSnapshot() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform(Self.structural[0].1)
    reader.refresh(.everything)
    let contents = try #require(reader.contents)
    #expect(try reader.tenant("t1") == Self.tenant)
    let other = try SQLiteConnection(path: directory.path + "/store/" + StoreFile.name, role: .writer)
    try other.executeScript("UPDATE tenants SET name = 'not told of'")
    reader.refresh(.everything)
    #expect(try reader.tenant("t1") == Self.tenant && reader.contents == contents)
    reader.turnEnds()
    reader.refresh(.everything)
    #expect(try reader.tenant("t1")?.name == "not told of")
    reader.turnEnds()
  }

  @Test func whatCameToNothingChangesNothing() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    try store.perform { try $0.insert(Self.tenant) }
    let before = try structure(reader)
    #expect(throws: StoreError.conflict) {
      try store.perform { transaction in
        try transaction.update(Self.tenant)
        throw StoreError.conflict
      }
    }
    try store.perform { _ in }
    let after = try structure(reader)
    // Undone with a savepoint it may count: what was worked out is worked out again, no more.
    if case .number(let old) = before, case .number(let new) = after { #expect(new - old <= 2) } else { Issue.record("no numbers") }
  }

  /// In a graceful restart the successor reads while its predecessor writes: then every commit counts.
  @Test func aSuccessorTrustsNoNumberOfItsOwnBeforeItWrites() throws {
    let path = directory.path + "/store"
    let first = try SQLiteStore(directory: path)
    try first.perform { try $0.insert(Self.tenant) }
    let second = try SQLiteStore(directory: path, lock: .awaited)
    let reader = try second.makeReader()
    let before = try structure(reader)
    guard case .snapshot = before else {
      Issue.record("\(before)")
      return
    }
    #expect(try structure(reader) == before)
    try first.perform { try $0.insert(Self.key) }
    #expect(try structure(reader) != before)
    first.close()
    try second.perform { try $0.update(Self.key) }
    if case .snapshot = try structure(reader) { Issue.record("still by snapshot") }
    second.close()
  }
}
