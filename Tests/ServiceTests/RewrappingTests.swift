import KeyRing
import Model
import SecretMemory
import Service
import Store
import StrictJSON
import TestSupport
import Testing

/// Tenant keys: rotation, re-wrap, the end of a version (T53).
@Suite struct RewrappingTests {
  private let bench: Bench

  init() throws {
    bench = try Bench()
    for name in ["A", "B", "C"] { try bench.put(name, "value of \(name)") }
    try bench.patch(["misc_settings_diff": ["x": 1]])
  }

  private func rows() throws -> [UInt32: Int64] { try bench.service.kekUse(tenant: bench.tenant).rows }

  private func disable(_ kek: KEKView, _ service: Service) throws(ServiceError) {
    _ = try service.disableKEK(
      kek.id, version: kek.version, tenant: bench.tenant, by: .localOperator(tenant: bench.tenant), RequestOrigin(id: "r", address: ""))
  }

  /// nil when it was not refused.
  private func refusal(of kek: KEKView, _ service: Service) -> Obstacle? {
    do throws(ServiceError) {
      try disable(kek, service)
      return nil
    } catch {
      if case .obstructed(let obstacle) = error { return obstacle }
      return nil
    }
  }

  @Test func aWalkBringsEverythingUnderTheNewVersion() throws {
    let before = try rows()
    #expect(before.keys.sorted() == [1])
    #expect(try Rewrapper(bench.service) { _ in true }.run() == Rewrapper.Outcome())
    #expect(try bench.rotateKEK(bench.service).version == 2)
    var paced = 0
    let outcome = try Rewrapper(bench.service) { rows in
      paced += rows
      return true
    }.run()
    #expect(outcome == Rewrapper.Outcome(rows: Int(before[1] ?? 0)) && paced == outcome?.rows)
    #expect(try rows() == [2: before[1] ?? 0])
    #expect(bench.service.rewrapping.rewrappedRows == UInt64(paced))
    #expect(try Verification(bench.service).run().findings == [])
    #expect(try Rewrapper(bench.service) { _ in true }.run() == Rewrapper.Outcome())
  }

  @Test func aWalkThatIsEndedGoesOnWhereItWas() throws {
    _ = try bench.rotateKEK(bench.service)
    #expect(try Rewrapper(bench.service) { _ in false }.run() == nil)
    let left = try rows()[1]
    #expect(left != nil)
    let outcome = try Rewrapper(bench.service) { _ in true }.run()
    #expect(outcome?.rows == left.map(Int.init))
  }

  /// One damaged row keeps no other from the new version, and its own version from its end.
  @Test func whatIsDamagedStaysBehindAlone() throws {
    let tenant = bench.tenant
    try bench.tamper { transaction in
      var row = try #require(try transaction.secret(tenant: tenant, name: "B"))
      row.mac[0] ^= 1
      try transaction.put(row)
    }
    let all = try #require(try rows()[1])
    let first = try #require(try Desk(bench.service).keks(tenant: tenant).first)
    _ = try bench.rotateKEK(bench.service)
    #expect(try Rewrapper(bench.service) { _ in true }.run() == Rewrapper.Outcome(rows: Int(all) - 1, unreadable: 1))
    #expect(try rows() == [1: 1, 2: all - 1])
    #expect(refusal(of: first, bench.service) == .kekInUse(rows: 1))
  }

  @Test func aVersionEndsOnceNothingMayNeedIt() throws {
    let first = try #require(try Desk(bench.service).keks(tenant: bench.tenant).first)
    #expect(refusal(of: first, bench.service) == .kekActive)
    let second = try bench.rotateKEK(bench.service)
    _ = try Rewrapper(bench.service) { _ in true }.run()
    try disable(first, bench.service)
    try disable(first, bench.service)
    #expect(try Desk(bench.service).keks(tenant: bench.tenant).map(\.state) == [.disabled, .active])
    #expect(refusal(of: second, bench.service) == .kekActive)
    #expect(try Verification(bench.service).run().findings == [])
    #expect(try bench.rotateKEK(bench.service).version == 3)
    #expect(try Rewrapper(bench.service) { _ in true }.run()?.unreadable == 0)
  }

  @Test func keysGrowOldByTheirTenantsRule() throws {
    #expect(try bench.service.rotateOldKEKs(Desk(bench.service)) == 0)
    let day: Int64 = 86_400_000
    let later = try Service(
      store: bench.store, root: bench.root, wire: WireRing(primary: SecretBytes(copying: [1])), options: Service.Options(),
      now: { 1_795_478_400_000 + 365 * day + 1 })
    #expect(try later.rotateOldKEKs(Desk(later)) == 1)
    #expect(try later.rotateOldKEKs(Desk(later)) == 0)
    #expect(try Desk(later).keks(tenant: bench.tenant).map(\.version) == [1, 2])
  }
}
