import Service
import Store
import StrictJSON
import Testing
import Threads

/// T04, T05 and T91 on one store: what a hand in the database can do, and what verification says of it.
@Suite struct VerificationTests {
  private let bench: Bench

  init() throws {
    bench = try Bench()
    for name in ["A", "B", "C"] { try bench.put(name, "value of \(name)") }
    try bench.patch(["misc_settings_diff": ["a": 1]])
  }

  @Test func anUntouchedStoreIsSound() throws {
    let report = try Verification(bench.service).run()
    #expect(report.isSound && report.findings.isEmpty)
    #expect((report.tenants, report.apiKeys, report.secrets, report.documents, report.auditEntries) == (1, 2, 3, 1, 7))
    #expect(report.chains.map(\.head?.sequence) == [7])
  }

  /// What stays of a row when it gets a new value was proven before: a change of it is refused, and a new one can be made.
  @Test func aChangedRowGetsNoNewMAC() throws {
    var row = try bench.secret("A")
    row.description = "changed"
    try bench.tamper { [row] in try $0.put(row) }
    #expect(throws: ServiceError.self) { try bench.put("A", "newer") }
    #expect(try bench.findings() == ["secrets/A changed"])
    try bench.delete("A")
    try bench.put("A", "newer")
    #expect(try bench.findings().isEmpty)
  }

  @Test func anOlderRowPutBack() throws {
    let (secret, settings) = (try bench.secret("B"), try bench.settings())
    try bench.put("B", "newer")
    try bench.patch(["misc_settings_diff": ["a": 2]])
    #expect(try bench.findings().isEmpty)
    try bench.tamper { try $0.put(secret) }
    #expect(try bench.findings() == ["secrets/B not_the_newest"])
    try bench.tamper { try $0.put(settings) }
    #expect(try bench.findings() == ["secrets/B not_the_newest", "settings/current not_the_newest"])
  }

  /// The version alone would not tell: both are the first of their incarnation.
  @Test func aRowOfAnEarlierIncarnationPutBack() throws {
    let old = try bench.secret("B")
    try bench.delete("B")
    try bench.put("B", "another")
    #expect(try bench.secret("B").version == old.version)
    try bench.tamper { try $0.put(old) }
    #expect(try bench.findings() == ["secrets/B not_the_newest"])
  }

  @Test func aDeletedRowPutBack() throws {
    let old = try bench.secret("C")
    try bench.delete("C")
    #expect(try bench.findings().isEmpty)
    try bench.tamper { try $0.put(old) }
    #expect(try bench.findings() == ["secrets/C deleted_before"])
  }

  @Test func aRevokedKeyPutBack() throws {
    let id = try bench.newKey()
    let old = try bench.apiKey(id)
    try bench.revoke(id)
    #expect(try bench.findings().isEmpty)
    try bench.tamper { try $0.update(old) }
    #expect(try bench.findings() == ["api_keys/\(id) not_the_newest"])
  }

  @Test func changedColumnsAndBytes() throws {
    var description = try bench.secret("A")
    description.description = "changed"
    var value = try bench.secret("B")
    value.sealed[14] ^= 1
    var role = try bench.apiKey(try bench.newKey())
    role.role = "backend"
    var settings = try bench.settings()
    settings.sealed[20] ^= 0x80
    try bench.tamper { [description, value, role, settings] transaction in
      try transaction.put(description)
      try transaction.put(value)
      try transaction.update(role)
      try transaction.put(settings)
    }
    #expect(
      try bench.findings() == [
        "api_keys/\(role.id) changed", "secrets/A changed", "secrets/B does_not_open", "settings/current does_not_open",
      ])
  }

  @Test func aRowWithoutAnEntryAndAnEntryWithoutARow() throws {
    let (tenant, old) = (bench.tenant, try bench.secret("A"))
    try bench.tamper { transaction in
      _ = try transaction.deleteSecret(tenant: tenant, name: "A")
      var moved = old
      moved.name = "MOVED"
      try transaction.put(moved)
    }
    #expect(try bench.findings() == ["secrets/MOVED unknown", "secrets/MOVED changed", "secrets/A missing"])
  }

  @Test func anEntryOfTheTailForged() throws {
    let tenant = bench.tenant
    let last = try #require(try bench.store.makeReader().auditEntries(tenant: tenant, after: 6, limit: 1).first)
    try bench.tamper { transaction in
      var forged = last
      forged.sequence += 1
      try transaction.append(forged)
    }
    #expect(try bench.findings() == ["audit/8 broken_chain"])
  }

  @Test func keysOfATenantChanged() throws {
    let tenant = bench.tenant
    let reader = try bench.store.makeReader()
    var row = try #require(try reader.tenant(tenant))
    var kek = try #require(try reader.kek(tenant: tenant, version: 1))
    row.name = "other"
    kek.wrapped[20] ^= 1
    try bench.tamper { [row, kek] transaction in
      try transaction.update(row)
      try transaction.update(kek)
    }
    #expect(try bench.findings().prefix(2) == ["tenants/\(tenant) changed", "keks/1 changed"])
  }

  /// T91 for the tail, and T05 for the whole file: what is left is consistent, and older than the head that was kept.
  @Test func aHeadThatIsNotInTheChain() throws {
    let head = try #require(try bench.store.makeReader().auditHead(tenant: bench.tenant))
    func findings(_ tenant: String, _ head: AuditHead) throws -> [String] {
      try Verification(bench.service, heads: [tenant: head]).run().findings.map { "\($0.place) \($0.problem.rawValue)" }
    }
    #expect(try findings(bench.tenant, head) == [])
    try bench.put("LATER", "value")
    #expect(try findings(bench.tenant, head) == [])
    #expect(try findings(bench.tenant, AuditHead(sequence: head.sequence, hash: [UInt8](repeating: 0, count: 32))) == ["audit/7 cut_off"])
    #expect(try findings(bench.tenant, AuditHead(sequence: 9, hash: head.hash)) == ["audit/9 cut_off"])
    #expect(try findings("ten_gone", head) == ["audit/7 cut_off"])
  }

  @Test func anotherDefaultTenant() throws {
    let done = Waiter<TenantRow>()
    bench.service.createTenant(name: "second", by: bench.principal, requestID: "r") { done.give($0.mapError { $0 }) }
    let other = try done.take().id
    #expect(try bench.findings().isEmpty)
    try bench.tamper { try $0.setRecord("default-tenant", Array(other.utf8)) }
    let reopened = try Bench.service(bench.store, bench.root)
    let findings = try Verification(reopened).run().findings
    #expect(findings.map(\.problem) == [.brokenChain, .brokenChain])
    #expect(findings.allSatisfy { $0.place == "audit/1" })
  }

  @Test func besideAWriter() throws {
    let bench = bench
    let verified = Waiter<Bool>()
    let service = bench.service
    PlainThread.start(named: "test-verify") {
      verified.give(Result { try (0..<20).allSatisfy { _ in try Verification(service).run().isSound } })
    }
    for number in 0..<300 {
      try bench.put("W\(number % 40)", "\(number)")
      if number % 7 == 0 { try bench.delete("W\(number % 40)") }
    }
    #expect(try verified.take())
  }
}
