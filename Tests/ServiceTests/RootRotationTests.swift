import Glibc
import KeyRing
import Model
import SecretMemory
import Service
import Store
import StrictJSON
import TestSupport
import Testing

/// The root key in the place of another, and the proof that it opens everything.
@Suite struct RootRotationTests {
  private let bench: Bench
  private let service: Service
  private let files: RootKeyFiles
  private var principal: Principal { .localOperator(tenant: bench.tenant) }

  init() throws {
    bench = try Bench()
    for name in ["A", "B", "C"] { try bench.put(name, "value of \(name)") }
    try bench.patch(["misc_settings_diff": ["x": 1]])
    _ = try bench.newKey()
    let path = bench.directory.path + "/root.key"
    try KeyFile.create(path, bench.root.text)
    files = RootKeyFiles(file: path, isOurs: true, keys: bench.directory.path)
    service = try Self.service(bench, bench.root, files)
  }

  private static func service(_ bench: Bench, _ root: RootKey, _ files: RootKeyFiles?) throws -> Service {
    try Service(
      store: bench.store, root: root, wire: WireRing(primary: SecretBytes(copying: [1])), options: Service.Options(rootKeyFiles: files),
      now: { 1_795_478_400_000 })
  }

  private func rotate(acceptsBrokenAudit: Bool = false) throws(ServiceError) -> RootRotation {
    try service.rotateRoot(acceptsBrokenAudit: acceptsBrokenAudit, by: principal, requestID: "r")
  }

  private func refusal(of body: () throws(ServiceError) -> Void) -> Obstacle? {
    do throws(ServiceError) {
      try body()
      return nil
    } catch {
      if case .obstructed(let obstacle) = error { return obstacle }
      return nil
    }
  }

  private func keyInUse() throws -> RootKey { try RootKeySource.file(bench.directory.path + "/root.key").read() }

  private func value(_ name: String, _ service: Service) throws -> [UInt8] {
    let found = try Desk(service).secretValue(
      try #require(SecretName(Array(name.utf8))), for: bench.principal, RequestOrigin(id: "r", address: ""))
    return found.value.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } }
  }

  @Test func everythingIsUnderTheNewKeyAndNothingUnderTheOld() throws {
    let change = try rotate()
    #expect(change.old == bench.root.id && change.new != change.old && change.proof.isGood && change.isErased)
    #expect(change.keks == 1 && change.tenants == 1 && change.unproven == 0 && change.trouble == nil)
    // The tenant's row, two first keys and one more.
    #expect(change.rows == 4)
    let new = try keyInUse()
    #expect(new.id == change.new && change.retired == files.retiredPath(bench.root.id))
    #expect(try RootKeySource.file(files.retiredPath(bench.root.id)).read().id == bench.root.id)
    #expect(try service.rootStatus().keks == [new.id: 1] && service.rootStatus().waiting == nil)
    // The service that made the change, and one that knows the new key alone.
    let other = try Self.service(bench, new, nil)
    for service in [service, other] {
      #expect(try value("A", service) == Array("value of A".utf8))
      #expect(try Verification(service).run().findings == [])
      #expect(try Desk(service).verifyAudit(tenant: bench.tenant).isIntact)
    }
    #expect(throws: StartError.wrongRootKey) { try Self.service(bench, bench.root, nil) }
    #expect(!(try service.proveRoot(bench.root)).isGood)
    #expect(try rotate().proof.isGood)
    #expect(try Verification(try Self.service(bench, try keyInUse(), nil)).run().findings == [])
  }

  /// A KEK that the old key still wraps, or that is another: the proof says which.
  @Test func theProofCatchesABadRewrap() throws {
    let before = try #require(try bench.store.makeReader().kek(tenant: bench.tenant, version: 1))
    let change = try rotate()
    let new = try keyInUse()
    let good = try #require(try bench.store.makeReader().kek(tenant: bench.tenant, version: 1))
    let stranger = try TenantKEK(
      tenant: bench.tenant, id: good.kekID, version: 1, key: SecretBytes(copying: [UInt8](repeating: 9, count: 32))
    )
    .wrapped(by: new)
    for (wrapped, places) in [
      (before.wrapped, ["keks/1"]), (stranger, ["keks/1", "documents/settings/current", "secrets/A", "secrets/B", "secrets/C"]),
    ] {
      try bench.tamper { store in
        var row = good
        row.wrapped = wrapped
        try store.update(row)
      }
      let proof = try service.proveRoot(new)
      #expect(proof.failures == places.map { bench.tenant + "/" + $0 })
    }
    try bench.tamper { try $0.update(good) }
    #expect(try service.proveRoot(new).isGood && change.proof.isGood)
  }

  @Test func whatWasNotProvenBeforeIsNotProvenAfter() throws {
    let id = try bench.newKey()
    try bench.tamper { store in
      var row = try store.apiKey(id)!
      row.role = "backend"
      try store.update(row)
    }
    #expect(try rotate().unproven == 1)
    #expect(try Verification(service).run().findings.map { "\($0.place) \($0.problem.rawValue)" } == ["api_keys/\(id) changed"])
  }

  @Test func aBrokenChainStandsInTheWayUntilItIsAccepted() throws {
    try bench.tamper { store in
      var row = try store.auditEntries(tenant: store.tenants(after: "", limit: 1)[0].id, after: 0, limit: 1)[0]
      row.sequence = try store.auditHead(tenant: row.tenant)!.sequence + 1
      try store.append(row)
    }
    let bad = try #require(try bench.store.makeReader().auditHead(tenant: bench.tenant)).sequence
    #expect(refusal { () throws(ServiceError) in _ = try rotate() } == .brokenChain(tenant: bench.tenant, sequence: bad))
    #expect(try service.rootStatus().id == bench.root.id && keyInUse().id == bench.root.id)
    #expect(try value("A", service) == Array("value of A".utf8))
    let waiting = try #require(try service.rootStatus().waiting)
    let change = try rotate(acceptsBrokenAudit: true)
    #expect(change.new == waiting && change.proof.isGood)
    let head = try #require(try Desk(service).auditEntries(tenant: bench.tenant, after: bad, limit: 10).last)
    #expect(head.action == "root.rotate" && head.details.contains("\"firstBad\":\(bad)"))
    #expect(try Desk(service).verifyAudit(tenant: bench.tenant).firstBad == bad)
  }

  @Test func aKEKThatDoesNotOpenOrIsNotProvenStandsInTheWay() throws {
    let row = try #require(try bench.store.makeReader().kek(tenant: bench.tenant, version: 1))
    let changes: [@Sendable (inout KEKRow) -> Void] = [{ $0.wrapped[20] ^= 1 }, { $0.wrapsReserved = 0 }, { $0.mac = [] }]
    for change in changes {
      try bench.tamper { store in
        var row = row
        change(&row)
        try store.update(row)
      }
      #expect(refusal { () throws(ServiceError) in _ = try rotate() } == .kekDoesNotOpen(tenant: bench.tenant, version: 1))
    }
    try bench.tamper { try $0.update(row) }
    #expect(try Verification(service).run().findings == [])
    #expect(try rotate().proof.isGood)
  }

  @Test func oneAtATimeAndNotWithoutFiles() throws {
    let other = try Self.service(bench, bench.root, nil)
    #expect(
      refusal { () throws(ServiceError) in _ = try other.rotateRoot(acceptsBrokenAudit: false, by: principal, requestID: "r") }
        == .rootKeyUnmanaged)
    #expect(service.holdRootKey())
    #expect(refusal { () throws(ServiceError) in _ = try rotate() } == .rootKeyHeld)
    service.releaseRootKey()
    #expect(try rotate().proof.isGood)
  }

  /// A row that the old key signs is good for readers of the moment of the change, and for nobody later.
  @Test func theOldKeyCountsNoMoreOnceReadersAreGone() throws {
    let tenant = try #require(try bench.store.makeReader().tenant(bench.tenant))
    _ = try service.rotateRoot(acceptsBrokenAudit: false, settling: 200, by: principal, requestID: "r")
    try bench.tamper { try $0.update(tenant) }
    func isGood() -> Bool { (try? Desk(service).tenant(bench.tenant)) != nil }
    #expect(isGood())
    for _ in 0..<100 where isGood() { usleep(50_000) }
    #expect(!isGood())
  }

  /// Nor is the row of a KEK that was open under the old key.
  @Test func anOldRowOfAKEKIsNotBelievedOnceReadersAreGone() throws {
    try bench.put("A", "newer", by: service)
    let old = try #require(try bench.store.makeReader().kek(tenant: bench.tenant, version: 1))
    _ = try service.rotateRoot(acceptsBrokenAudit: false, settling: 200, by: principal, requestID: "r")
    try bench.tamper { try $0.update(old) }
    func seals() -> Bool { (try? bench.put("A", "newest", by: service)) != nil }
    for _ in 0..<100 where seals() { usleep(50_000) }
    #expect(!seals())
    #expect(try Verification(service).run().findings.map(\.place).contains("keks/1"))
  }

  /// The process ended at each point of the change: the next one finds a key that fits.
  @Test func theNextStartFindsTheKey() throws {
    func start() throws -> RootKey { try Service.rootKey(of: bench.store, usual: keyInUse(), files) }
    // The new key was written, and nothing more.
    let waiting = try files.prepare()
    #expect(try start().id == bench.root.id)
    #expect(try rotate().new == waiting.id)
    // Committed; the new key waits still, and the old one was kept or not.
    let (current, retired) = (bench.directory.path + "/root.key", files.retiredPath(bench.root.id))
    for isKept in [true, false] {
      #expect(unsafe rename(current, files.next) == 0)
      #expect(unsafe isKept ? link(retired, current) == 0 : rename(retired, current) == 0)
      #expect(try start().id == waiting.id && keyInUse().id == waiting.id)
      #expect(try RootKeySource.file(retired).read().id == bench.root.id)
      #expect(try files.waiting() == nil)
    }
    // Neither fits.
    #expect(unsafe unlink(current) == 0)
    try KeyFile.create(current, try Bench.rootKey(4).text)
    #expect(throws: StartError.wrongRootKey) { try start() }
    _ = try files.prepare()
    #expect(throws: StartError.wrongRootKey) { try start() }
  }

  /// Where Coffer cannot write, the new key waits until its place is changed by others.
  @Test func aKeyOfAProgramWaits() throws {
    let files = RootKeyFiles(file: "/nowhere", isOurs: false, keys: bench.directory.path)
    let service = try Self.service(bench, bench.root, files)
    let change = try service.rotateRoot(acceptsBrokenAudit: false, by: principal, requestID: "r")
    #expect(change.proof.isGood && change.retired == nil && change.file == files.next)
    #expect(try Service.rootKey(of: bench.store, usual: bench.root, files).id == change.new)
    #expect(
      refusal { () throws(ServiceError) in _ = try service.rotateRoot(acceptsBrokenAudit: false, by: principal, requestID: "r") }
        == .rootKeyNotMoved(files.next))
  }

  /// Of a cut chain, what the cut left in its place is renewed.
  @Test func cutChainsGoOn() throws {
    let done = Waiter<AuditTrimming>()
    let cut = try #require(try Desk(service).auditCut(tenant: bench.tenant, before: "9"))
    service.trimAudit(cut, before: "9", by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    #expect(try done.take().removed > 0)
    #expect(try rotate().proof.isGood)
    let verdict = try Desk(try Self.service(bench, try keyInUse(), nil)).verifyAudit(tenant: bench.tenant)
    #expect(verdict.isIntact && verdict.cutThrough != nil)
    let change = try #require(try bench.store.makeReader().auditRootChange(tenant: bench.tenant).flatMap(AuditRootChange.init))
    #expect(change.sequence == (try bench.store.makeReader().auditHead(tenant: bench.tenant)?.sequence))
  }
}
