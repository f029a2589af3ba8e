/// Whether nginx's workers can reach and use the responder's socket, and whether others can.
package enum SocketAccess {
  /// An account as the kernel judges it.
  package struct Account: Sendable {
    package let name: String
    package let uid: UInt32
    package let groups: Set<UInt32>
    /// Name of the primary group, for advice.
    package let group: String

    package init(name: String, uid: UInt32, groups: Set<UInt32>, group: String) {
      self.name = name
      self.uid = uid
      self.groups = groups
      self.group = group
    }
  }

  /// A file or directory on the way, with the permission bits of its mode.
  package struct Part: Sendable {
    package let path: String
    package let mode: UInt32
    package let uid: UInt32
    package let gid: UInt32

    package init(path: String, mode: UInt32, uid: UInt32, gid: UInt32) {
      self.path = path
      self.mode = mode & 0o7777
      self.uid = uid
      self.gid = gid
    }

    /// - Parameter right: 4 read, 2 write, 1 enter.
    fileprivate func gives(_ right: UInt32, to account: Account) -> Bool {
      if account.uid == 0 { return true }
      if account.uid == uid { return mode >> 6 & right != 0 }
      return (account.groups.contains(gid) ? mode >> 3 : mode) & right != 0
    }
  }

  /// - Parameters:
  ///   - directories: from the root down to the socket's.
  ///   - socket: nil when it does not exist.
  ///   - allowedUIDs: what cofferd admits; nil when it asks nobody's uid.
  package static func judge(directories: [Part], socket: Part?, path: String, worker: Account, allowedUIDs: [UInt32]?) -> [Finding] {
    var findings: [Finding] = []
    if let closed = directories.first(where: { !$0.gives(1, to: worker) }) {
      findings.append(
        Finding(
          .socketDirectory, .wrong,
          "nginx's workers (\(worker.name)) cannot enter \(closed.path) (mode \(octal(closed.mode))) on the way to \(path); "
            + "run: chgrp \(worker.group) \(closed.path) && chmod g+x \(closed.path)"))
    } else {
      findings.append(Finding(.socketDirectory, .good, "nginx's workers (\(worker.name)) can enter the directories that lead to \(path)"))
    }
    guard let socket else {
      findings.append(Finding(.socketRights, .warning, "\(path) does not exist: no cofferd runs; start it"))
      return findings
    }
    findings.append(rights(socket, directories, worker, allowedUIDs))
    return findings
  }

  private static func rights(_ socket: Part, _ directories: [Part], _ worker: Account, _ allowedUIDs: [UInt32]?) -> Finding {
    let mode = octal(socket.mode)
    if !socket.gives(2, to: worker) {
      return Finding(
        .socketRights, .wrong,
        "nginx's workers (\(worker.name)) may not connect to \(socket.path) (mode \(mode)): set socket-mode = 0660 and give cofferd's "
          + "account the group \(worker.group), or run: chgrp \(worker.group) \(socket.path) && chmod 0660 \(socket.path)")
    }
    if socket.mode & 0o002 != 0, directories.allSatisfy({ $0.mode & 0o001 != 0 }) {
      return Finding(
        .socketRights, .wrong,
        "every account of this machine may connect to \(socket.path) (mode \(mode)) and claim to be nginx; run: chmod 0660 \(socket.path)")
    }
    if let allowedUIDs, !allowedUIDs.contains(worker.uid) {
      return Finding(
        .socketRights, .wrong, "allowed-uids does not name \(worker.uid), the uid of nginx's workers (\(worker.name)): add it")
    }
    return Finding(.socketRights, .good, "nginx's workers (\(worker.name)) may connect to \(socket.path), others may not")
  }

  /// The socket that commands the server: its owner's alone.
  package static func control(_ socket: Part) -> Finding? {
    guard socket.mode & 0o077 != 0 else { return nil }
    return Finding(
      .socketRights, .wrong, "\(socket.path) (mode \(octal(socket.mode))) is open to other users; run: chmod 0600 \(socket.path)")
  }

  private static func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}
