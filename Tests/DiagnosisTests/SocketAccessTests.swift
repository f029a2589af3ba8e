import Testing

@testable import Diagnosis

struct SocketAccessTests {
  private static let www = SocketAccess.Account(name: "www-data", uid: 33, groups: [33, 50], group: "www-data")
  private static let root = SocketAccess.Account(name: "root", uid: 0, groups: [0], group: "root")

  private static func part(_ path: String, _ mode: UInt32, _ uid: UInt32 = 1000, _ gid: UInt32 = 1000) -> SocketAccess.Part {
    SocketAccess.Part(path: path, mode: mode, uid: uid, gid: gid)
  }

  private func judge(
    _ directories: [(UInt32, UInt32, UInt32)], _ socket: (UInt32, UInt32, UInt32)?, _ worker: SocketAccess.Account = www,
    allowed: [UInt32]? = nil
  ) -> [Finding] {
    let parts = directories.enumerated().map { Self.part("/d\($0)", $1.0, $1.1, $1.2) }
    return SocketAccess.judge(
      directories: parts, socket: socket.map { Self.part("/s", $0.0, $0.1, $0.2) }, path: "/s", worker: worker, allowedUIDs: allowed)
  }

  /// One directory of mode, owner and group: may the workers pass?
  @Test(
    arguments: [
      (0o755, 0, 0, true), (0o750, 1000, 33, true), (0o710, 1000, 50, true), (0o700, 33, 1000, true), (0o750, 1000, 1000, false),
      (0o700, 1000, 33, false), (0o740, 1000, 33, false), (0o754, 1000, 1000, false), (0o701, 1000, 1000, true),
      // The nearest class decides, also where a farther one would let in.
      (0o701, 1000, 33, false), (0o077, 33, 33, false),
    ] as [(UInt32, UInt32, UInt32, Bool)])
  func directories(mode: UInt32, uid: UInt32, gid: UInt32, isOpen: Bool) {
    let finding = judge([(0o755, 0, 0), (mode, uid, gid)], nil)[0]
    #expect(finding.code == .socketDirectory)
    #expect(finding.kind == (isOpen ? .good : .wrong))
    if !isOpen { #expect(finding.text.contains("chgrp www-data /d1 && chmod g+x /d1")) }
    #expect(judge([(0o755, 0, 0), (mode, uid, gid)], nil, Self.root)[0].kind == .good)
  }

  @Test(
    arguments: [
      (0o660, 1000, 33, .good), (0o660, 33, 1000, .good), (0o660, 1000, 1000, .wrong), (0o600, 1000, 33, .wrong), (0o640, 1000, 33, .wrong),
      (0o666, 1000, 1000, .wrong), (0o662, 1000, 33, .wrong),
    ] as [(UInt32, UInt32, UInt32, Finding.Kind)])
  func sockets(mode: UInt32, uid: UInt32, gid: UInt32, kind: Finding.Kind) {
    let finding = judge([(0o755, 0, 0)], (mode, uid, gid))[1]
    #expect(finding.code == .socketRights)
    #expect(finding.kind == kind, "\(finding.text)")
  }

  /// Behind a closed directory the socket's own mode lets nobody in.
  @Test func aDirectoryMayCloseAnOpenSocket() {
    #expect(judge([(0o750, 1000, 33)], (0o666, 1000, 33))[1].kind == .good)
    #expect(judge([(0o755, 1000, 33)], (0o666, 1000, 33))[1].text.contains("every account"))
  }

  @Test func theUIDsThatCofferdAdmits() {
    #expect(judge([], (0o660, 1000, 33), allowed: [33])[1].kind == .good)
    let refused = judge([], (0o660, 1000, 33), allowed: [34])[1]
    #expect(refused.kind == .wrong)
    #expect(refused.text.contains("allowed-uids does not name 33"))
  }

  @Test func withoutASocketNothingRuns() { #expect(judge([], nil)[1].kind == .warning) }

  @Test(arguments: [(0o600, false), (0o660, true), (0o602, true)] as [(UInt32, Bool)])
  func theControlSocket(mode: UInt32, isWrong: Bool) {
    #expect((SocketAccess.control(Self.part("/c", mode))?.kind == .wrong) == isWrong)
  }
}
