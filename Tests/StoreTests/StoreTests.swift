import Glibc
import Store
import Synchronization
import TestSupport
import Testing
import Threads

/// What every store must do; run here against SQLite.
@Suite struct StoreConformance {
  private let directory = TemporaryDirectory()

  private func open() throws -> SQLiteStore { try SQLiteStore(directory: directory.path + "/store") }

  private static let tenant = TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, mac: [1])

  private static func secret(_ name: String, _ position: Int64, description: String? = nil) -> SecretRow {
    SecretRow(
      tenant: "t1", name: name, position: position, description: description, incarnation: .max, version: 7, kekVersion: 2,
      sealed: [0, 1, 2],
      createdAt: 3, updatedAt: 4, mac: [])
  }

  private static func audit(_ sequence: Int64) -> AuditRow {
    AuditRow(
      tenant: "t1", sequence: sequence, at: "at", actorType: "a", actorID: "", keyID: "k", action: "x", scope: "", scopeID: "",
      secretID: "s\u{0}t",
      fieldKey: "", revision: "1", outcome: "allowed", requestID: "r", details: "{}", hash: [UInt8](repeating: UInt8(sequence), count: 32),
      mac: [])
  }

  @Test func whatATenantHadIsGoneButItsChain() throws {
    let store = try open()
    defer { store.close() }
    let other = TenantRow(id: "t2", name: "two", createdAt: 1, activeKEKVersion: 1, mac: [1])
    let wrapped = Array("wrapped-key-bytes-of-the-first-tenant".utf8)
    let fill: @Sendable (any StoreTransaction) throws -> Void = { transaction in
      for tenant in [Self.tenant, other] {
        try transaction.insert(tenant)
        try transaction.insert(
          KEKRow(
            tenant: tenant.id, version: 1, kekID: [5], rootKeyID: "r", wrapped: tenant.id == "t1" ? wrapped : [6], createdAt: 1,
            wrapsReserved: 0, mac: []))
        try transaction.insert(
          APIKeyRow(
            id: "key-of-" + tenant.id, tenant: tenant.id, kind: "session", role: "backend", name: "n", digest: [1], createdAt: 1,
            expiresAt: nil, revokedAt: nil, mac: []))
        try transaction.put(
          DocumentRow(
            tenant: tenant.id, collection: "c", name: "n", incarnation: 1, version: 1, kekVersion: 1, sealed: []))
        var secret = Self.secret("A", 1)
        secret.tenant = tenant.id
        try transaction.put(secret)
      }
      try transaction.append(Self.audit(1))
    }
    try store.perform(fill)
    let files = [directory.path + "/store/coffer.db", directory.path + "/store/coffer.db-wal"]
    func isInFiles() throws -> Bool { try files.contains { try contents($0).contains(wrapped) } }
    #expect(try isInFiles())
    let reader = try store.makeReader()
    // A snapshot that another thread holds keeps the bytes in the log, and the answer says so.
    reader.refresh(.everything)
    #expect(try reader.tenant("t1") == Self.tenant)
    #expect(try !store.performErasing { try $0.deleteContents(ofTenant: "t1") })
    #expect(try isInFiles())
    reader.turnEnds()
    try store.perform { try $0.setRecord("x", [1]) }
    #expect(try !isInFiles())
    #expect(try reader.kek(tenant: "t1", version: 1) == nil && reader.apiKey("key-of-t1") == nil)
    #expect(try reader.document(tenant: "t1", collection: "c", name: "n") == nil && reader.secret(tenant: "t1", name: "A") == nil)
    #expect(try reader.tenant("t1") == Self.tenant && reader.auditHead(tenant: "t1")?.sequence == 1)
    #expect(try reader.kek(tenant: "t2", version: 1) != nil && reader.apiKey("key-of-t2") != nil)
    #expect(try reader.document(tenant: "t2", collection: "c", name: "n") != nil && reader.secret(tenant: "t2", name: "A") != nil)
    #expect(try store.performErasing { try $0.deleteContents(ofTenant: "t2") })
  }

  @Test func aChainIsCutAtTheFront() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { transaction in
      try transaction.insert(Self.tenant)
      for sequence in 1...4 { try transaction.append(Self.audit(Int64(sequence))) }
    }
    let reader = try store.makeReader()
    #expect(try reader.auditCheckpoint(tenant: "t1") == nil)
    try store.perform { try $0.trimAudit(tenant: "t1", through: 3, checkpoint: [1, 2]) }
    #expect(try reader.auditEntries(tenant: "t1", after: .min, limit: 9) == [Self.audit(4)])
    #expect(try reader.auditCheckpoint(tenant: "t1") == [1, 2] && reader.auditCheckpoint(tenant: "t2") == nil)
    try store.perform { transaction in
      try transaction.append(Self.audit(5))
      try transaction.trimAudit(tenant: "t1", through: 4, checkpoint: [3])
    }
    #expect(try reader.auditCheckpoint(tenant: "t1") == [3] && reader.auditHead(tenant: "t1")?.sequence == 5)
  }

  @Test func rowsComeBackAsTheyWent() throws {
    let store = try open()
    defer { store.close() }
    let kek = KEKRow(tenant: "t1", version: 1, kekID: [5], rootKeyID: "r", wrapped: [6], createdAt: 1, wrapsReserved: 9, mac: [8])
    let key = APIKeyRow(
      id: "k1", tenant: "t1", kind: "session", role: "backend", name: "n", digest: [1, 2], createdAt: 1, expiresAt: nil, revokedAt: 5,
      mac: [7])
    let document = DocumentRow(
      tenant: "t1", collection: "settings", name: "current", incarnation: 1, version: 2, kekVersion: 3, sealed: [])
    try store.perform { transaction in
      try transaction.insert(Self.tenant)
      try transaction.insert(kek)
      try transaction.insert(key)
      try transaction.put(document)
      try transaction.put(Self.secret("A", 1, description: "with\u{0}nul"))
      try transaction.setRecord("x", [])
      try transaction.setRecord("x", [9])
      try transaction.append(Self.audit(1))
    }
    let reader = try store.makeReader()
    #expect(try reader.tenant("t1") == Self.tenant)
    #expect(try reader.tenant("t2") == nil)
    #expect(try reader.kek(tenant: "t1", version: 1) == kek)
    #expect(try reader.kek(tenant: "t1", version: 2) == nil)
    #expect(try reader.apiKey("k1") == key)
    #expect(try reader.document(tenant: "t1", collection: "settings", name: "current") == document)
    #expect(try reader.secret(tenant: "t1", name: "A") == Self.secret("A", 1, description: "with\u{0}nul"))
    #expect(try reader.secret(tenant: "t1", name: "a") == nil)
    #expect(try reader.record("x") == [9])
    #expect(try reader.record("y") == nil)
    #expect(try reader.auditEntries(tenant: "t1", after: 0, limit: 5) == [Self.audit(1)])
    #expect(try reader.auditHead(tenant: "t1") == AuditHead(sequence: 1, at: "at", hash: [UInt8](repeating: 1, count: 32)))
  }

  @Test func pagesComeInOrder() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { transaction in
      try transaction.insert(Self.tenant)
      for position in [5, 1, 3, 2, 4] as [Int64] { try transaction.put(Self.secret("S\(position)", position)) }
    }
    let reader = try store.makeReader()
    #expect(try reader.secrets(tenant: "t1", after: .min, limit: 3).map(\.position) == [1, 2, 3])
    #expect(try reader.secrets(tenant: "t1", after: 3, limit: 3).map(\.position) == [4, 5])
    #expect(try reader.secrets(tenant: "t2", after: .min, limit: 3).isEmpty)
  }

  @Test func everyCollectionAndEveryKEKVersionComesInOrder() throws {
    let store = try open()
    defer { store.close() }
    let places = [("b", "1"), ("a", "2"), ("b", "0"), ("a", "10"), ("c", "")]
    try store.perform { transaction in
      try transaction.insert(Self.tenant)
      for (collection, name) in places {
        try transaction.put(
          DocumentRow(
            tenant: "t1", collection: collection, name: name, incarnation: 1, version: 1, kekVersion: 1, sealed: []))
      }
      for version in [3, 1, 2] as [UInt32] {
        try transaction.insert(
          KEKRow(tenant: "t1", version: version, kekID: [1], rootKeyID: "r", wrapped: [], createdAt: 1, wrapsReserved: 0, mac: []))
      }
    }
    let reader = try store.makeReader()
    var seen: [String] = []
    var last = ("", "")
    while let row = try reader.documents(tenant: "t1", after: last, limit: 1).first {
      seen.append(row.collection + "/" + row.name)
      last = (row.collection, row.name)
    }
    #expect(seen == ["a/10", "a/2", "b/0", "b/1", "c/"])
    #expect(try reader.documents(tenant: "t2", after: ("", ""), limit: 9).isEmpty)
    #expect(try reader.keks(tenant: "t1", after: 0, limit: 2).map(\.version) == [1, 2])
    #expect(try reader.keks(tenant: "t1", after: 2, limit: 2).map(\.version) == [3])
    #expect(try reader.damage().isEmpty)
  }

  @Test func sequencesAreNeverGivenTwice() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let first = try store.perform { try $0.nextSequence(tenant: "t1") }
    let second = try store.perform { transaction in
      try transaction.put(Self.secret("A", transaction.nextSequence(tenant: "t1")))
      #expect(try transaction.deleteSecret(tenant: "t1", name: "A"))
      return try transaction.nextSequence(tenant: "t1")
    }
    #expect(second == first + 2)
    #expect(throws: StoreError.conflict) { try store.perform { try $0.nextSequence(tenant: "nobody") } }
  }

  @Test func anAuditChainHasNoGapsAndNoDoubles() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    try store.perform { try $0.append(Self.audit(1)) }
    for wrong in [1, 3, 0] as [Int64] {
      #expect(throws: StoreError.conflict) { try store.perform { try $0.append(Self.audit(wrong)) } }
    }
    try store.perform { try $0.append(Self.audit(2)) }
  }

  @Test func conflictsAndMissingRows() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    #expect(throws: StoreError.conflict) { try store.perform { try $0.insert(Self.tenant) } }
    let other = TenantRow(id: "t2", name: Self.tenant.name, createdAt: 1, activeKEKVersion: 1, mac: [])
    #expect(throws: StoreError.conflict) { try store.perform { try $0.insert(other) } }
    #expect(throws: StoreError.conflict) { try store.perform { try $0.update(other) } }
    #expect(try store.perform { try $0.deleteSecret(tenant: "t1", name: "none") } == false)
  }

  struct Refused: Error {}

  @Test func aFailingBodyIsUndoneAlone() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let outcomes = Outcomes()
    for number in 0..<200 {
      outcomes.expectOne()
      store.write(
        { transaction in
          try transaction.put(Self.secret("S\(number)", Int64(number)))
          if number % 3 == 0 { throw Refused() }
        }, completion: { outcomes.add(number, $0) })
    }
    let results = outcomes.wait()
    let reader = try store.makeReader()
    for number in 0..<200 {
      #expect((results[number] == nil) == (number % 3 == 0))
      #expect((try reader.secret(tenant: "t1", name: "S\(number)") == nil) == (number % 3 == 0))
    }
  }

  final class Carried: Sendable {
    private let alive: Locked<Int>
    init(_ alive: Locked<Int>) {
      self.alive = alive
      alive.withLock { $0 += 1 }
    }
    deinit { alive.withLock { $0 -= 1 } }
  }

  /// Be it a secret: with or without other writes behind it.
  @Test func whatAWriteCarriedIsFreedSoonAfterIt() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let alive = Locked(0)
    for round in 1...3 {
      let outcomes = Outcomes()
      for number in 0..<100 {
        outcomes.expectOne()
        let carried = Carried(alive)
        store.write(
          { _ in
            _ = carried
            if number % 9 == 0 { throw Refused() }
          }, completion: { outcomes.add(number, $0) })
      }
      #expect(outcomes.wait().count == 88)
      for _ in 0..<1000 where alive.withLock({ $0 }) > 0 { usleep(2_000) }
      #expect(alive.withLock { $0 } == 0, "round \(round)")
    }
  }

  @Test func whatWasAcknowledgedIsReadByEveryThread() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let readers = try (0..<3).map { _ in try store.makeReader() }
    for number in 0..<300 {
      try store.perform { try $0.put(Self.secret("S", Int64(number))) }
      for reader in readers {
        reader.refresh(.everything)
        #expect(try reader.secret(tenant: "t1", name: "S")?.position == Int64(number))
        reader.turnEnds()
      }
    }
  }

  @Test func aTurnIsASnapshot() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let reader = try store.makeReader()
    reader.refresh(.everything)
    #expect(try reader.secret(tenant: "t1", name: "S") == nil)
    try store.perform { try $0.put(Self.secret("S", 1)) }
    #expect(try reader.secret(tenant: "t1", name: "S") == nil)
    reader.turnEnds()
    #expect(try reader.secret(tenant: "t1", name: "S") != nil)
  }

  @Test func afterCloseNothingIsTaken() throws {
    let store = try open()
    store.close()
    #expect(throws: StoreError.unavailable(.draining)) { try store.perform { try $0.setRecord("x", []) } }
    store.close()
  }

  @Test func everythingIsThereAfterReopening() throws {
    let first = try open()
    try first.perform { try $0.insert(Self.tenant) }
    first.close()
    let second = try open()
    defer { second.close() }
    #expect(try second.makeReader().tenant("t1") == Self.tenant)
  }
}

@Suite struct SQLiteStoreTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/store" }

  @Test func oneProcessHasTheStore() throws {
    let first = try SQLiteStore(directory: path)
    #expect(throws: StoreError.locked) { try SQLiteStore(directory: path) }
    first.close()
    try SQLiteStore(directory: path).close()
  }

  @Test func aSuccessorReadsAtOnceAndWritesOnceTheLockIsFree() throws {
    let first = try SQLiteStore(directory: path)
    try first.perform { try $0.setRecord("x", [1]) }
    let second = try SQLiteStore(directory: path, lock: .awaited)
    let reader = try second.makeReader()
    #expect(try reader.record("x") == [1])
    let outcomes = Outcomes()
    outcomes.expectOne()
    second.write({ try $0.setRecord("x", [2]) }, completion: { outcomes.add(0, $0) })
    try first.perform { try $0.setRecord("x", [3]) }
    #expect(try reader.record("x") == [3])
    first.close()
    #expect(outcomes.wait()[0] != nil)
    #expect(try reader.record("x") == [2])
    second.close()
  }

  @Test func aNewerStoreIsRefusedUntouched() throws {
    try SQLiteStore(directory: path).close()
    var bytes = try Vectors.bytes(path + "/coffer.db")
    // PRAGMA user_version lies at offset 60 of the header.
    let supported = Int(bytes[63])
    bytes.replaceSubrange(60..<64, with: [0, 0, 0, 99])
    try write(bytes, to: path + "/coffer.db")
    #expect(throws: StoreError.newerSchema(found: 99, supported: supported)) { try SQLiteStore(directory: path) }
    #expect(try Vectors.bytes(path + "/coffer.db") == bytes)
  }

  @Test func aForeignOrBrokenFileIsRefused() throws {
    try SQLiteStore(directory: path).close()
    try write(
      Array("not a database, but long enough to have a header of one hundred bytes, which is what is read of it first".utf8),
      to: path + "/coffer.db")
    #expect(throws: StoreError.corrupt) { try SQLiteStore(directory: path) }
  }

  @Test func manyWritersShareCommits() throws {
    let store = try SQLiteStore(directory: path)
    let outcomes = Outcomes()
    for number in 0..<4_000 {
      outcomes.expectOne()
      store.write({ try $0.setRecord("x", [UInt8(truncatingIfNeeded: number)]) }, completion: { outcomes.add(number, $0) })
    }
    #expect(outcomes.wait().count == 4_000)
    #expect(store.commitFigures.writes == 4_000)
    #expect(store.commitFigures.commits < 4_000)
    #expect(store.commitFigures.largestBatch > 1)
    store.close()
  }
}
