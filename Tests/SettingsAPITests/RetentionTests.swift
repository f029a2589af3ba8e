import HTTPMessages
import KeyRing
import SecretMemory
import Service
import Testing

@Suite struct RetentionTests {
  private let day: Int64 = 86_400_000

  /// The same store, so many days later.
  private func service(_ rig: Rig, days: Int64) throws -> Service {
    let root = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 3, count: 32)))
    let now = rig.service.now() + days * day
    return try Service(
      store: rig.store, root: root, wire: WireRing(primary: nil, retired: []), options: Service.Options(), now: { now })
  }

  @Test func whatIsOldEnoughGoesOnceADay() throws {
    let rig = try Rig(open: true)
    for name in ["A", "B"] {
      #expect(try rig.send(.put, "/api/settings/secrets", body: "{\"name\":\"\(name)\",\"value\":\"v\"}").status == 200)
    }
    let later = try service(rig, days: 10)
    let before = try rig.audit()
    #expect(try later.trimAudits(keepingDays: 10) == 0 && rig.audit() == before)
    // Three more came with the making of the store.
    let removed = try later.trimAudits(keepingDays: 9)
    #expect(removed == Int64(before.count) + 3)
    #expect(try rig.audit() == ["audit.trim  allowed", "audit.carry  allowed"])
    #expect(try later.trimAudits(keepingDays: 9) == 0)
    #expect(try service(rig, days: 20).trimAudits(keepingDays: 9) == 2)
    #expect(try rig.audit() == ["audit.trim  allowed", "audit.carry  allowed"])
    #expect(try Verification(later).run().isSound)
  }
}
