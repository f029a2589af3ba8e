import Testing

@testable import Diagnosis

struct MachineTests {
  /// 2026-01-01 as a now, and what the newest entry makes of it.
  @Test(
    arguments: [
      (1_767_225_600_000, nil, .good), (1_767_225_600_000, 1_767_225_600_000, .good), (1_767_225_600_000, 1_767_225_900_000, .good),
      (1_767_225_600_000, 1_767_225_900_001, .wrong), (1_767_225_600_000, 9_000_000_000_000, .wrong), (1_735_689_599_999, nil, .wrong),
      (1_735_689_600_000, nil, .good), (0, nil, .wrong),
    ] as [(Int64, Int64?, Finding.Kind)])
  func clock(now: Int64, newest: Int64?, kind: Finding.Kind) { #expect(Machine.clock(now: now, newestEntry: newest).kind == kind) }

  @Test func theClockSaysHowFarItIsBehind() {
    let finding = Machine.clock(now: 1_767_225_600_000, newestEntry: 1_767_225_600_000 + 7_200_000)
    #expect(finding.text.hasPrefix("the clock stands 120 minutes behind the newest audit entry: set it"))
  }

  /// Under 10 % or 512 MiB is a warning, under 5 % or 64 MiB is wrong, whichever comes first.
  @Test(
    arguments: [
      (1 << 34, 1 << 33, .good), (100_000_000_000, 10_000_000_000, .good), (100_000_000_000, 9_999_999_999, .warning),
      (100_000_000_000, 5_000_000_000, .warning), (100_000_000_000, 4_999_999_999, .wrong), (1 << 30, 512 << 20, .good),
      (1 << 30, 511 << 20, .warning), (1 << 30, 64 << 20, .warning), (1 << 30, 63 << 20, .wrong), (8 << 20, 8 << 20, .wrong),
      (50, 50, .wrong), (0, 0, .wrong), (.max, .max, .good),
    ] as [(UInt64, UInt64, Finding.Kind)])
  func disk(total: UInt64, free: UInt64, kind: Finding.Kind) {
    let finding = Machine.disk("/d", total: total, free: free)
    #expect(finding.kind == kind, "\(finding.text)")
    #expect(finding.text.contains("/d"))
  }

  /// The running server's limit counts where one runs.
  @Test(
    arguments: [
      (1023, nil, .wrong), (1024, nil, .warning), (4095, nil, .warning), (4096, nil, .good), (.max, nil, .good), (64, 4096, .good),
      (4096, 64, .wrong), (4096, 2000, .warning),
    ] as [(UInt64, UInt64?, Finding.Kind)])
  func descriptors(limit: UInt64, serving: UInt64?, kind: Finding.Kind) {
    let finding = Machine.descriptors(limit: limit, serving: serving)
    #expect(finding.kind == kind)
    #expect(finding.text.contains("the running cofferd") == (serving != nil))
    #expect(finding.text.contains("raise LimitNOFILE") == (kind != .good))
  }

  @Test(
    arguments: [
      (
        "Limit                     Soft Limit           Hard Limit           Units\nMax open files            20000                20001                files\n",
        20000
      ),
      ("Max open files            unlimited            unlimited            files", .max), ("Max open files", nil), ("", nil),
      ("Max processes             12                   12                   processes", nil),
    ] as [(String, UInt64?)])
  func openFiles(text: String, limit: UInt64?) { #expect(Machine.openFiles(inLimits: text) == limit) }
}

struct StorePlaceTests {
  @Test(
    arguments: [(false, false, .good), (false, true, .good), (true, true, .warning), (true, false, .wrong)] as [(Bool, Bool, Finding.Kind)])
  func fileSystem(isNetwork: Bool, isAllowed: Bool, kind: Finding.Kind) {
    let finding = StorePlace.fileSystem("/d/store", isNetwork: isNetwork, isAllowed: isAllowed)
    #expect(finding.kind == kind)
    #expect(finding.code == .fileSystem)
    #expect(finding.text.contains("/d/store"))
  }

  @Test func versions() throws {
    #expect(StorePlace.version(nil) == nil)
    #expect(StorePlace.version((found: 2, supported: 2))?.kind == .good)
    #expect(StorePlace.version((found: 1, supported: 2))?.text.hasSuffix("which the next start renews") == true)
    let newer = try #require(StorePlace.version((found: 3, supported: 2)))
    #expect(newer.kind == .wrong)
    #expect(newer.text.contains("format 3") && newer.text.contains("install"))
  }

  @Test(
    arguments: [
      (nil, .wrong, "coffer init --dir /d"), (0o40700, .good, "closed"), (0o40750, .wrong, "chmod 0700 /d/store"),
      (0o40701, .wrong, "chmod 0700"),
    ] as [(UInt32?, Finding.Kind, String)])
  func directories(mode: UInt32?, kind: Finding.Kind, text: String) {
    let finding = StorePlace.directory("/d/store", mode: mode, parent: "/d")
    #expect(finding.kind == kind)
    #expect(finding.text.contains(text))
  }
}

struct CertificateTests {
  private static let now: Int64 = 1_800_000_000

  @Test(
    arguments: [
      (nil, .warning), (now - 1, .wrong), (now, .wrong), (now + 1, .warning), (now + 21 * 86_400 - 1, .warning), (now + 21 * 86_400, .good),
    ] as [(Int64?, Finding.Kind)])
  func ends(end: Int64?, kind: Finding.Kind) {
    for isOurs in [true, false] {
      let finding = Certificate.judge("/c.pem", end: end, now: Self.now, isOurs: isOurs)
      #expect(finding.kind == kind)
      if end != nil, kind != .good { #expect(finding.text.contains(isOurs ? "delete it" : "reload nginx")) }
    }
  }

  @Test(
    arguments: [
      ("notAfter=Jan  1 00:00:00 1970 GMT", 0), ("notAfter=May  1 10:00:00 2027 GMT\n", 1_809_165_600),
      ("notAfter=Feb 29 23:59:59 2028 GMT", 1_835_481_599), ("notAfter=Mar  1 00:00:00 2028 GMT", 1_835_481_600),
      ("notAfter=Dec 31 23:59:59 9999 GMT", 253_402_300_799), ("notAfter=Foo  1 10:00:00 2027 GMT", nil),
      ("notAfter=May  1 10:00 2027 GMT", nil), ("notAfter=May  1 10:00:00 2027", nil), ("May  1 10:00:00 2027 GMT", nil), ("", nil),
    ] as [(String, Int64?)])
  func texts(line: String, seconds: Int64?) { #expect(Certificate.end(line) == seconds) }
}

struct CivilTimeTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00.000Z", 0), ("2026-07-01T12:00:00.001Z", 1_782_907_200_001), ("2028-02-29T23:59:59.999Z", 1_835_481_599_999),
      ("2026-07-01T12:00:00Z", nil), ("2026-07-01 12:00:00.000Z", nil), ("2026-13-01T12:00:00.000Z", nil),
      ("2026-07-01T12:00:00.00xZ", nil),
      ("", nil),
    ] as [(String, Int64?)])
  func entries(text: String, milliseconds: Int64?) { #expect(CivilTime.milliseconds(text) == milliseconds) }
}
