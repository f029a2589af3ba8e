import KeyRing
import Model
import SecretMemory
import Service
import Store
import TestSupport
import Testing

/// T04: what a hand in the database does to the row of a tenant's key. Its plain columns say when and after how many uses the key is
/// replaced.
@Suite struct KEKProofTests {
  private let bench: Bench

  init() throws {
    bench = try Bench()
    try bench.put("A", "value of A")
  }

  private func kek(_ version: UInt32 = 1) throws -> KEKRow {
    try #require(try bench.store.makeReader().kek(tenant: bench.tenant, version: version))
  }

  private func change(_ version: UInt32 = 1, _ change: @escaping @Sendable (inout KEKRow) -> Void) throws {
    let tenant = bench.tenant
    try bench.tamper { transaction in
      var row = try #require(try transaction.kek(tenant: tenant, version: version))
      change(&row)
      try transaction.update(row)
    }
  }

  /// As before schema 8.
  private func unprove(_ change: @escaping @Sendable (inout KEKRow) -> Void) throws {
    let (tenant, root) = (bench.tenant, bench.root)
    try bench.tamper { transaction in
      for var row in try transaction.keks(tenant: tenant, after: 0, limit: 10) {
        row.mac = []
        change(&row)
        try transaction.update(row)
      }
      let storeID = try #require(try transaction.record("store-id"))
      try transaction.setRecord("key-check", root.keyCheck(storeID: storeID, .unprovenKEKs))
    }
  }

  private func restarted() throws -> Service { try Bench.service(bench.store, bench.root) }

  private func value(_ service: Service) throws -> SecretBytes {
    let name = try #require(SecretName(Array("A".utf8)))
    return try Desk(service).secretValue(name, for: bench.principal, RequestOrigin(id: "r", address: "")).value
  }

  static let changes: [@Sendable (inout KEKRow) -> Void] = [
    { $0.wrapsReserved = 0 }, { $0.wrapsReserved = 1 << 40 }, { $0.wrapsReserved = -1 }, { $0.wrapped[0] ^= 1 },
    { $0.rootKeyID = "another" }, { $0.wrapped = [] }, { $0.mac = [] }, { $0.mac[31] ^= 1 }, { $0.mac.removeLast() },
  ]

  /// It is refused where it is read, and gets no new MAC by a write or by a start.
  @Test(arguments: changes.indices) func aChangedRowOpensNothing(_ number: Int) throws {
    let good = try kek()
    try change(1, Self.changes[number])
    let bad = try kek()
    #expect(try bench.findings() == ["keks/1 changed"])
    #expect(throws: ServiceError.self) { try bench.put("A", "newer") }
    #expect(throws: ServiceError.self) { try Desk(bench.service).keks(tenant: bench.tenant) }
    let service = try restarted()
    #expect(throws: ServiceError.self) { try value(service) }
    #expect(try Verification(service).run().findings.first?.place == "keks/1")
    #expect(try kek() == bad)
    try bench.tamper { try $0.update(good) }
    #expect(try bench.findings() == [])
    #expect(try value(restarted()) == SecretBytes(copying: Array("value of A".utf8)))
    try bench.put("A", "newer")
  }

  @Test func aRowInThePlaceOfAnother() throws {
    let first = try kek()
    _ = try bench.rotateKEK(bench.service)
    try change(2) { row in
      row.wrapped = first.wrapped
      row.wrapsReserved = first.wrapsReserved
      row.mac = first.mac
    }
    #expect(try bench.findings() == ["keks/2 changed"])
    #expect(throws: ServiceError.self) { try bench.put("B", "value") }
  }

  /// A reservation of uses makes a new MAC, as does a row that a rotation leaves behind.
  @Test func whatCofferWritesIsProven() throws {
    let before = try kek()
    for _ in 0..<3 { try bench.put("A", "newer", by: restarted()) }
    _ = try bench.rotateKEK(bench.service)
    #expect(try kek().wrapsReserved > before.wrapsReserved && kek().mac != before.mac && kek().wrapped == before.wrapped)
    #expect(try Verification(restarted()).run().findings == [])
  }

  /// A store from before schema 8: what opens gets a MAC, what has lost its key too; what does not open is found still.
  @Test func whatDoesNotOpenIsNotMadeGood() throws {
    _ = try bench.rotateKEK(bench.service)
    _ = try bench.rotateKEK(bench.service)
    try unprove { if $0.version == 2 { $0.wrapped[20] ^= 1 } }
    // A process that runs believes none of it.
    #expect(try bench.findings().prefix(2) == ["records changed", "keks/1 changed"])
    #expect(throws: ServiceError.self) { try bench.put("A", "newer") }
    let service = try restarted()
    #expect(try Verification(service).run().findings.map { "\($0.place) \($0.problem.rawValue)" } == ["keks/2 changed"])
    #expect(try [kek(1), kek(2), kek(3)].map(\.mac.count) == [32, 0, 32])
    #expect(try value(service) == SecretBytes(copying: Array("value of A".utf8)))
    try bench.put("A", "newer")
  }

  /// Where another process may still write, the start does not wait; every write does.
  @Test func aStartThatDoesNotWait() throws {
    try unprove { _ in }
    _ = try Service(
      store: bench.store, root: bench.root, wire: WireRing(primary: SecretBytes(copying: [1])), options: Service.Options(), waits: false,
      now: { 1_795_478_400_000 })
    try bench.put("A", "newer")
    #expect(try bench.findings() == [])
  }

  /// A disabled version has no key, but a row.
  @Test func aDisabledRowIsProvenUnderEachRootKey() throws {
    let first = try #require(try Desk(bench.service).keks(tenant: bench.tenant).first)
    _ = try bench.rotateKEK(bench.service)
    _ = try Rewrapper(bench.service) { _ in true }.run()
    let path = bench.directory.path + "/root.key"
    try KeyFile.create(path, bench.root.text)
    let files = RootKeyFiles(file: path, isOurs: true, keys: bench.directory.path)
    let later = try Service(
      store: bench.store, root: bench.root, wire: WireRing(primary: SecretBytes(copying: [1])),
      options: Service.Options(rootKeyFiles: files), now: { 1_795_478_400_000 + 900_000 })
    _ = try later.disableKEK(
      first.id, version: 1, tenant: bench.tenant, by: bench.principal, RequestOrigin(id: "r", address: ""))
    #expect(try later.rotateRoot(acceptsBrokenAudit: false, by: bench.principal, requestID: "r").proof.isGood)
    #expect(try Verification(later).run().findings == [])
    try change { $0.wrapsReserved += 1 }
    #expect(try Verification(later).run().findings.map(\.place) == ["keks/1"])
    let change = try later.rotateRoot(acceptsBrokenAudit: false, by: bench.principal, requestID: "r")
    #expect(change.unproven == 1 && change.proof.failures == [bench.tenant + "/keks/1"])
    #expect(try Verification(later).run().findings.map(\.place) == ["keks/1"])
  }
}
