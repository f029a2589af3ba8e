import Store
import TestSupport
import Testing

@Suite struct FiguresTests {
  private let directory = TemporaryDirectory()
  private struct Refused: Error {}

  private func audit(_ tenant: String, _ sequence: Int64) -> AuditRow {
    AuditRow(
      tenant: tenant, sequence: sequence, at: "", actorType: "", actorID: "", keyID: "", action: "x", scope: "", scopeID: "", secretID: "",
      fieldKey: "", revision: "", outcome: "", requestID: "", details: "", hash: [1], mac: [])
  }

  @Test func ofTheKeysOfAllTenants() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let reader = try store.makeReader()
    #expect(try reader.keyFigures(now: 0, expiringBefore: 100) == KeyFigures(oldestKEK: nil, newestKEK: nil, expiringKeys: 0))
    // Each tenant has one retired version, which is older than any that counts.
    let keys: [(String, expires: Int64?, revoked: Int64?)] = [
      ("over", 10, nil), ("now", 11, nil), ("limit", 100, nil), ("later", 101, nil), ("never", nil, nil), ("revoked", 50, 5),
    ]
    try store.perform { transaction in
      for (tenant, made) in [("a", Int64(30)), ("b", 20), ("c", 40)] {
        try transaction.insert(TenantRow(id: tenant, name: tenant, createdAt: 1, activeKEKVersion: 2, mac: []))
        for (version, time) in [(UInt32(1), Int64(1)), (2, made)] {
          try transaction.insert(
            KEKRow(tenant: tenant, version: version, kekID: [], rootKeyID: "", wrapped: [], createdAt: time, wrapsReserved: 0, mac: []))
        }
      }
      for (id, expires, revoked) in keys {
        try transaction.insert(
          APIKeyRow(
            id: id, tenant: "a", kind: "session", role: "", name: "", digest: [], createdAt: 1, expiresAt: expires, revokedAt: revoked,
            mac: []))
      }
    }
    #expect(try reader.keyFigures(now: 10, expiringBefore: 100) == KeyFigures(oldestKEK: 20, newestKEK: 40, expiringKeys: 2))
  }

  /// What was undone is not counted.
  @Test func ofAuditEntriesAndBatches() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let (one, two, three) = (audit("a", 1), audit("a", 2), audit("a", 3))
    try store.perform { transaction in
      try transaction.insert(TenantRow(id: "a", name: "a", createdAt: 1, activeKEKVersion: 1, mac: []))
      try transaction.insert(
        KEKRow(tenant: "a", version: 1, kekID: [], rootKeyID: "", wrapped: [], createdAt: 1, wrapsReserved: 0, mac: []))
      try transaction.append(one)
      try transaction.append(two)
    }
    #expect(throws: Refused.self) {
      try store.perform { transaction in
        try transaction.append(three)
        throw Refused()
      }
    }
    try store.perform { transaction in try transaction.append(three) }
    let figures = store.commitFigures
    #expect(figures.auditEntries == 3)
    #expect(figures.commits == 3)
    #expect(figures.batches == [3, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(figures.batches.count == CommitFigures.batchBounds.count)
    #expect(store.fileSizes.database > 0 && store.fileSizes.log > 0)
  }

  @Test func ofAFileSystem() throws {
    let space = try #require(FileSystem.space(directory.path))
    #expect(space.total > 0 && space.free <= space.total)
    #expect(FileSystem.space(directory.path + "/nothing") == nil)
  }

  /// statfs(2): what is refused, and what is not.
  @Test(
    arguments: [
      (0x6969, true), (0x517B, true), (0xFE53_4D42, true), (0xFF53_4D42, true), (0x0102_1997, true), (0x00C3_6400, true), (0xEF53, false),
      (0x0102_1994, false), (0x5846_5342, false), (0x9123_683E, false), (0x794C_7630, false), (0, false),
    ] as [(UInt32, Bool)])
  func whichFileSystemsAreOnANetwork(_ type: UInt32, _ isNetwork: Bool) { #expect(FileSystem.isNetwork(type: type) == isNetwork) }

  @Test func theSchemaVersionOfAFile() throws {
    let path = directory.path + "/store"
    #expect(try SQLiteStore.schemaVersion(below: path) == nil)
    try SQLiteStore(directory: path).close()
    let version = try #require(try SQLiteStore.schemaVersion(below: path))
    #expect(version.found == version.supported)
  }
}
