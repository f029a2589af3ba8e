import Glibc
import KeyRing
import Service
import Store
import TestSupport
import Testing

@Suite struct BackupTests {
  private let bench: Bench
  private var path: String { bench.directory.path + "/backup" }

  init() throws {
    bench = try Bench()
    try bench.put("A", "value of A")
  }

  private func extract(_ path: String, root: RootKey) throws(BackupError) {
    try BackupFile.extract(path, to: bench.directory.path + "/taken", root: root)
  }

  private var isTaken: Bool { unsafe access(bench.directory.path + "/taken", F_OK) == 0 }

  @Test func whatWasBackedUpComesBack() throws {
    let report = try bench.backUp(to: "backup")
    #expect(report.chains.map(\.head?.sequence) == [5])
    let place = bench.directory.path + "/again"
    #expect(unsafe mkdir(place, 0o700) == 0)
    try BackupFile.extract(path, to: place + "/coffer.db", root: bench.root)
    let store = try SQLiteStore(directory: place)
    defer { store.close() }
    let verified = try Verification(try Bench.service(store, bench.root)).run()
    #expect(verified.isSound)
    #expect(verified.chains == report.chains)
    #expect(try store.makeReader().secret(tenant: bench.tenant, name: "A") == bench.secret("A"))
  }

  @Test func anythingButAnEarlierBackupIsKept() throws {
    let first = try bench.backUp(to: "backup")
    let bytes = try Vectors.bytes(path)
    #expect(throws: BackupError.exists) { try bench.backUp(to: "backup") }
    #expect(try Vectors.bytes(path) == bytes)
    #expect(try bench.backUp(to: "backup", replaces: true).bytes >= first.bytes)
    try write(Array("something else".utf8), to: bench.directory.path + "/other")
    #expect(throws: BackupError.notABackup) { try bench.backUp(to: "other", replaces: true) }
    #expect(throws: BackupError.notABackup) { try bench.backUp(to: "store/coffer.db", replaces: true) }
    #expect(throws: BackupError.notAFile) { try bench.backUp(to: "store", replaces: true) }
    #expect(throws: BackupError.notWritable) { try bench.backUp(to: "none/backup") }
    #expect(try Vectors.bytes(bench.directory.path + "/other") == Array("something else".utf8))
    #expect(unsafe access(path + ".coffer-partial", F_OK) != 0)
  }

  @Test func theAuditEntryComesFirstAndIsInTheCopy() throws {
    let report = try bench.backUp(to: "backup")
    let last = try #require(try bench.store.makeReader().auditEntries(tenant: bench.tenant, after: 4, limit: 9).last)
    #expect((last.action, last.actorType) == ("backup.create", "environment"))
    #expect(report.chains.first?.head == AuditHead(sequence: last.sequence, hash: last.hash))
  }

  @Test func anotherRootKeyIsNamed() throws {
    _ = try bench.backUp(to: "backup")
    #expect(throws: BackupError.otherRootKey(bench.root.id)) { try extract(path, root: Bench.rootKey(4)) }
    #expect(!isTaken)
  }

  @Test func aNewerProgramsBackupIsNamed() throws {
    _ = try bench.backUp(to: "backup")
    var bytes = try Vectors.bytes(path)
    let supported = Int(bytes[63])
    bytes[63] += 1
    try write(bytes, to: path)
    #expect(throws: BackupError.newerSchema(found: supported + 1, supported: supported)) { try extract(path, root: bench.root) }
    #expect(!isTaken)
  }

  /// T27 for backups: every bit is covered, those of free space too.
  @Test func everyFlippedBitIsRefused() throws {
    _ = try bench.backUp(to: "backup")
    let whole = try Vectors.bytes(path)
    let seed: UInt64 = 27
    var random = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      var bytes = whole
      let bit = Int.random(in: 0..<whole.count * 8, using: &random)
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      try write(bytes, to: path)
      #expect(throws: BackupError.self, "seed \(seed), bit \(bit)") { try extract(path, root: bench.root) }
      #expect(!isTaken)
    }
  }

  @Test func everyOtherLengthIsRefused() throws {
    _ = try bench.backUp(to: "backup")
    let whole = try Vectors.bytes(path)
    for count in [0, 1, 63, 64, 65, 100, 4096, whole.count / 2, whole.count - 65, whole.count - 64, whole.count - 1] {
      try write(Array(whole.prefix(count)), to: path)
      #expect(throws: BackupError.notABackup, "\(count) bytes") { try extract(path, root: bench.root) }
    }
    try write(whole + [0], to: path)
    #expect(throws: BackupError.notABackup) { try extract(path, root: bench.root) }
    #expect(throws: BackupError.notAFile) { try extract(bench.directory.path, root: bench.root) }
    #expect(throws: BackupError.notAFile) { try extract(path + "-none", root: bench.root) }
    #expect(!isTaken)
  }

  /// A whole page of an earlier backup fits by itself, and not into this one.
  @Test func aPageOfAnEarlierBackupIsRefused() throws {
    _ = try bench.backUp(to: "backup")
    let earlier = try Vectors.bytes(path)
    try bench.put("A", "newer value")
    _ = try bench.backUp(to: "backup", replaces: true)
    let later = try Vectors.bytes(path)
    let differing = stride(from: 4096, to: min(earlier.count, later.count) - 4160, by: 4096).filter {
      earlier[$0..<$0 + 4096] != later[$0..<$0 + 4096]
    }
    #expect(!differing.isEmpty)
    for start in differing {
      try write(Array(later[..<start] + earlier[start..<start + 4096] + later[(start + 4096)...]), to: path)
      #expect(throws: BackupError.damaged) { try extract(path, root: bench.root) }
    }
  }
}
