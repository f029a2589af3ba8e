import TestSupport
import Testing

@testable import Store

@Suite struct AuditRunTests {
  /// The values are of a program of a few lines in another language.
  @Test(
    arguments: [("", "", "", 0xB542_3DAF), ("team", "s1", "a", 0xC7BD_E9D5), ("org", "é", "x", 0x592B_727A)]
      as [(String, String, String, UInt32)])
  func theHashIsTheSameEverywhere(_ scope: String, _ scopeID: String, _ secret: String, _ hash: UInt32) {
    #expect(AuditRun.hash(scope, scopeID, secret) == hash)
  }

  @Test func aRunIsItsRowsInOrder() throws {
    let marks = [(0, 5), (0x0FFF_FFFF, 16_383), (0x1000_0000, 0), (0x1000_0000, 9), (0xFFFF_FFFF, 1)].map {
      AuditRun.Mark($0.0 as UInt32, distance: $0.1)
    }
    let rows = AuditRun.rows(of: marks, .merged, from: 16_384)
    #expect(rows.map(\.bucket) == [0, 1, 15])
    #expect(rows.flatMap(\.marks) == marks)
    #expect(rows.allSatisfy { $0.first == 16_384 && AuditRun.marks($0.bytes) == $0.marks })
    #expect(rows[0].bytes == [0, 0, 0, 0, 0, 5, 0x0F, 0xFF, 0xFF, 0xFF, 0x3F, 0xFF])
    #expect(AuditRun.distances(of: 0x1000_0000, in: rows[1].bytes) == [0, 9])
    #expect(AuditRun.distances(of: 0x1000_0001, in: rows[1].bytes) == [])
    #expect(AuditRun.distances(of: 0, in: []) == [])
    #expect(AuditRun.distances(of: 0, in: [0]) == nil)
    #expect(AuditRun.marks([0, 0, 0, 0, 0]) == nil)
    #expect(AuditRun.rows(of: marks, .short, from: 0) == [AuditRun(level: .short, bucket: 0, first: 0, marks: marks)])
  }
}

/// Histories by runs, and whether runs that do not fit their entries are noticed.
@Suite struct AuditIndexTests {
  private static let place = ScopeKey(tenant: "t1", scope: "team", scopeID: "p")
  private static let tenants: StaticString = """
    INSERT INTO tenants (id, name, created_at, active_kek_version, mac)
    VALUES ('t1', '1', 1, 1, x''), ('t2', '2', 1, 1, x''), ('t3', '3', 1, 1, x'');
    """
  /// Each 16th of a chain, which is enough to tell where entries stand: every fifth of no secret, the others of 37 secrets.
  private static let entries: StaticString = """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2 / 16)
    INSERT INTO audit
    SELECT ?1, 16 * n + 1, 'at', 'a', '', '', 'x', iif(n % 5, 'team', ''), 'p', 's' || (n * n % 37), 'f', '', 'allowed', '', '', x'', x''
    FROM numbers
    """
  /// One merged run, two short ones of 1,024 entries, and entries in none.
  private static let newest: Int64 = 16_384 + 2993

  private static func sequences(of secret: Int64, _ range: ClosedRange<Int64>) -> [Int64] {
    range.reversed().filter { $0 % 16 == 1 && $0 / 16 % 5 != 0 && ($0 / 16) * ($0 / 16) % 37 == secret }
  }

  private func filled(_ newest: Int64 = newest, through steps: [Schema.Step] = Schema.steps) throws -> SQLiteConnection {
    let connection = try SQLiteConnection(path: ":memory:", role: .maker)
    try Schema.migrate(connection, through: steps)
    try connection.executeScript(Self.tenants)
    try connection.prepare(Self.entries).run([.text("t1"), .integer(newest)])
    try connection.prepare(Self.entries).run([.text("t2"), .integer(1985)])
    return connection
  }

  private func indexed(_ newest: Int64 = newest) throws -> SQLiteConnection {
    let connection = try filled(newest)
    for (tenant, last) in [("t1", newest), ("t2", 1985)] as [(String, Int64)] {
      // Each sequence but one of 1,024 is passed over.
      for sequence in 1...last { try connection.noteAudit(tenant: tenant, through: sequence) }
    }
    return connection
  }

  private func rows(_ connection: SQLiteConnection) throws -> [[Int64]] {
    try connection.prepare("SELECT level, bucket, first, length(marks) FROM audit_runs ORDER BY tenant, level, first, bucket")
      .all { row in (0..<4).map { row.integer(Int32($0)) } }
  }

  @Test func aHistoryIsNewestFirstAcrossAllRuns() throws {
    let newest: Int64 = 2 * 16_384 + 2993
    let connection = try indexed(newest)
    // Two short runs of the newest entries and one of the other tenant, two merged ones of up to 16 rows.
    #expect(try rows(connection).filter { $0[0] == 0 }.map { $0[2] } == [32_768, 33_792, 0])
    #expect(Set(try rows(connection).filter { $0[0] == 1 }.map { $0[2] }) == [0, 16_384])
    let reading = SQLiteReading(connection)
    for secret in [0, 1, 36] as [Int64] {
      let expected = Self.sequences(of: secret, 1...newest)
      func read(before sequence: Int64, _ limit: Int) throws -> [Int64] {
        try reading.auditEntries(Self.place, secret: "s\(secret)", before: sequence, limit: limit).map(\.sequence)
      }
      #expect(try read(before: .max, .max) == expected)
      for before in [1, 2, 1024, 16_385, 32_768, 32_769, 34_196, 34_817, newest] as [Int64] {
        #expect(try read(before: before, 7) == Array(expected.filter { $0 < before }.prefix(7)))
      }
      var (pages, last) = ([Int64](), Int64.max)
      while case let page = try read(before: last, 499), let end = page.last { (pages, last) = (pages + page, end) }
      #expect(pages == expected)
    }
    #expect(try reading.auditEntries(Self.place, secret: "s99", before: .max, limit: 9).isEmpty)
    #expect(try reading.auditEntries(ScopeKey(tenant: "t3", scope: "team", scopeID: "p"), secret: "s1", before: .max, limit: 9).isEmpty)
    #expect(
      try reading.auditEntries(ScopeKey(tenant: "t2", scope: "team", scopeID: "p"), secret: "s1", before: .max, limit: .max).count
        == Self.sequences(of: 1, 1...1985).count)
  }

  @Test func anOlderFileGetsTheRunsThatItsEntriesMake() throws {
    let old = try filled(through: Array(Schema.steps.prefix(4)))
    try Schema.migrate(old)
    #expect(try rows(old) == rows(indexed()))
    #expect(try old.damage().isEmpty)
  }

  @Test(arguments: [1, 1009, 1023, 16_383, 18_431, 19_377] as [Int64])
  func whatIsTrimmedIsInNoHistory(_ last: Int64) throws {
    let connection = try indexed()
    let transaction = SQLiteTransaction(connection)
    try transaction.trimAudit(tenant: "t1", through: last, checkpoint: [])
    let expected = last == Self.newest ? [] : Self.sequences(of: 4, last + 1...Self.newest)
    #expect(try transaction.auditEntries(Self.place, secret: "s4", before: .max, limit: .max).map(\.sequence) == expected)
    #expect(try rows(connection).allSatisfy { $0[0] == 0 ? $0[2] + 1024 > last + 1 || $0[2] == 0 : $0[2] + 16_384 > last + 1 })
    #expect(try connection.damage().isEmpty)
  }

  @Test(
    arguments: [
      "UPDATE audit_runs SET marks = zeroblob(length(marks)) WHERE level = 1 AND first = 0 AND bucket IN (SELECT min(bucket) FROM audit_runs WHERE level = 1)",
      "UPDATE audit_runs SET marks = x'00' WHERE level = 0 AND tenant = 't2'",
      "DELETE FROM audit_runs WHERE level = 0 AND first = 17408",
      "UPDATE audit_runs SET first = first + 1024 WHERE level = 0 AND first = 17408",
      "UPDATE audit_runs SET bucket = bucket + 64 WHERE level = 1 AND first = 0",
      "UPDATE audit_runs SET level = 7 WHERE tenant = 't2'",
      "UPDATE audit_runs SET tenant = 't3' WHERE tenant = 't2'",
      "INSERT INTO audit_runs VALUES ('t3', 0, 0, 0, x'')",
      "UPDATE audit SET secret_id = 's2' WHERE tenant = 't1' AND sequence = 17",
      "UPDATE audit SET sequence = 9223372036854775807 WHERE tenant = 't1' AND sequence = 17",
      "UPDATE audit SET sequence = 4611686018427387904 WHERE tenant = 't1' AND sequence = 17",
      "UPDATE audit SET sequence = -9223372036854775808 WHERE tenant = 't1' AND sequence = 17",
    ] as [StaticString])
  func runsThatDoNotFitTheirEntriesAreFound(_ change: StaticString) throws {
    let connection = try indexed()
    try connection.executeScript(change)
    let lines = try connection.damage()
    #expect(!lines.isEmpty && lines.allSatisfy { $0.hasPrefix("the index of the audit chain of t") })
  }

  @Test func aNumberThatNoChainReachesIsNoHead() throws {
    let connection = try indexed()
    try connection.executeScript("UPDATE audit SET sequence = 9223372036854775807 WHERE tenant = 't1' AND sequence = 17")
    let reading = SQLiteReading(connection)
    #expect(throws: StoreError.corrupt) { try reading.auditHead(tenant: "t1") }
    #expect(throws: StoreError.corrupt) { try reading.auditEntries(Self.place, secret: "s1", before: .max, limit: .max) }
  }

  @Test func anUnreadableRunIsMadeAnewWhenItIsMerged() throws {
    let connection = try filled()
    for sequence in 1..<16_383 as Range<Int64> { try connection.noteAudit(tenant: "t1", through: sequence) }
    try connection.executeScript("UPDATE audit_runs SET marks = x'00' WHERE first = 4096")
    for sequence in 16_383...Self.newest { try connection.noteAudit(tenant: "t1", through: sequence) }
    for sequence in 1...1985 as ClosedRange<Int64> { try connection.noteAudit(tenant: "t2", through: sequence) }
    #expect(try connection.damage().isEmpty)
  }

  @Test func aRunThatCannotBeReadIsNoEmptyHistory() throws {
    let connection = try indexed()
    try connection.executeScript("UPDATE audit_runs SET marks = x'00'")
    #expect(throws: StoreError.corrupt) {
      try SQLiteReading(connection).auditEntries(Self.place, secret: "s1", before: .max, limit: .max)
    }
  }

  @Test func entriesAreIndexedAsTheyCome() throws {
    let directory = TemporaryDirectory()
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    try store.perform { transaction in
      try transaction.insert(TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, mac: [1]))
    }
    // Bodies of a few entries each, and one that is undone at the end of a run.
    for part in 0..<30 as Range<Int64> {
      let append: @Sendable (any StoreTransaction) throws -> Void = { transaction in
        for sequence in part * 100 + 1...part * 100 + 100 {
          try transaction.append(
            AuditRow(
              tenant: "t1", sequence: sequence, at: "at", actorType: "a", actorID: "", keyID: "", action: "x", scope: "team", scopeID: "p",
              secretID: "s\(sequence % 3)", fieldKey: "", revision: "", outcome: "allowed", requestID: "r", details: "", hash: [], mac: []))
        }
      }
      #expect(throws: CancellationError.self) {
        try store.perform { transaction in
          try append(transaction)
          throw CancellationError()
        }
      }
      try store.perform(append)
    }
    let reader = try store.makeReader()
    let found = try reader.auditEntries(Self.place, secret: "s2", before: .max, limit: .max).map(\.sequence)
    #expect(found == (1...3000).reversed().filter { $0 % 3 == 2 })
    #expect(try reader.damage().isEmpty)
  }
}
