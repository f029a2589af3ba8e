import Glibc
import KeyRing
import SecretMemory
import TestSupport
import Testing

@Suite struct WireKeyFilesTests {
  private let directory = TemporaryDirectory()
  private var files: WireKeyFiles { WireKeyFiles(path: directory.path + "/wire.key") }

  private func seal(_ ring: WireRing) throws -> [UInt8] { try ring.seal(Array("text".utf8), unixSeconds: 1) }

  @Test func aRotatedKeyOpensUntilItIsRetired() throws {
    try files.create()
    let first = try files.ring(given: nil, retired: [])
    let token = try seal(first)
    for _ in 0..<3 { try files.install(try files.prepare()) }
    let ring = try files.ring(given: nil, retired: [])
    #expect(ring.retired.count == 3 && ring.open(token) != nil)
    #expect(try first.open(seal(ring)) == nil)
    let id = try #require(first.primary?.id)
    #expect(ring.retired.map(\.id).contains(id) && ring.primary?.id != id)
    #expect(try files.retire(id) && !files.retire(id))
    #expect(try files.ring(given: nil, retired: []).open(token) == nil)
    #expect(try !files.retire(#require(ring.primary?.id)))
  }

  /// Whatever a crash leaves, there is a key that seals, every token opens, and the next rotation works.
  @Test func aCrashAtAnyStep() throws {
    try files.create()
    let token = try seal(files.ring(given: nil, retired: []))
    let fresh = try files.prepare()
    #expect(try files.ring(given: nil, retired: []).primary?.id == fresh.old)
    // After the old key got its second name and before the new one got its place.
    #expect(unsafe link(files.path, files.path + ".retired-" + fresh.old) == 0)
    let between = try files.ring(given: nil, retired: [])
    #expect(between.primary?.id == fresh.old && between.retired.isEmpty && between.open(token) != nil)
    try files.install(try files.prepare())
    let after = try files.ring(given: nil, retired: [])
    #expect(after.retired.map(\.id) == [fresh.old] && after.open(token) != nil)
    _ = try files.prepare()
    files.discard()
    #expect(unsafe access(files.path + ".new", F_OK) != 0)
  }

  @Test func theEnvironmentComesFirst() throws {
    try files.create()
    try files.install(try files.prepare())
    let given = SecretBytes(copying: Array("given".utf8))
    let ring = try files.ring(given: (given, "OH_SECRET_KEY"), retired: [SecretBytes(copying: Array("old".utf8))])
    #expect(ring.primary?.id == "OH_SECRET_KEY" && ring.primary?.madeAt == nil)
    #expect(ring.retired.map(\.id).first == "OH_SECRET_KEYS_RETIRED_0" && ring.retired.count == 2)
    #expect(try WireRing(primary: given).open(seal(ring)) != nil)
  }

  @Test func aKeyThatOthersMayReadIsRefused() throws {
    try files.create()
    try files.install(try files.prepare())
    let retired = files.path + ".retired-" + (try #require(files.retired().first?.id))
    #expect(unsafe chmod(retired, 0o444) == 0)
    #expect(throws: KeyFile.Failure.readableByOthers(path: retired)) { try files.ring(given: nil, retired: []) }
  }

  @Test func withoutAKeyNothingIsSealed() {
    #expect(throws: (any Error).self) { try seal(WireRing(primary: nil, retired: [])) }
    #expect(throws: KeyFile.Failure.missing(path: files.path)) { try files.ring(given: nil, retired: []) }
  }
}
