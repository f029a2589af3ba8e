internal import CShim
internal import Glibc
internal import HTTPMessages

/// What is true of every connection of a listener.
struct ListenerTraits: Sendable {
  let isLocalOperator: Bool
  /// Bytes of the longest request body.
  let maximumBody: Int

  /// What nginx passes on.
  static let responder = ListenerTraits(isLocalOperator: false, maximumBody: RequestDecoder.maximumBody)
  static let control = ListenerTraits(isLocalOperator: true, maximumBody: RequestDecoder.maximumControlBody)
}

/// A listening unix socket, bound so that no request meets a missing file: under a temporary name, with its final
/// mode, then renamed over the old one. The old socket's backlog stays with the process that owns it.
package final class Listener: Sendable {
  package let descriptor: Int32
  let traits: ListenerTraits
  /// Peers' uids; nil lets every uid in that the file's mode lets in.
  let allowedUIDs: Set<UInt32>?

  private init(descriptor: Int32, traits: ListenerTraits, allowedUIDs: Set<UInt32>?) {
    self.descriptor = descriptor
    self.traits = traits
    self.allowedUIDs = allowedUIDs
  }

  deinit { close(descriptor) }

  /// The socket nginx connects to.
  package static func bind(_ path: String, mode: UInt32, allowedUIDs: Set<UInt32>? = nil) throws(ResponderError) -> Listener {
    Listener(descriptor: try bound(path, mode: mode), traits: .responder, allowedUIDs: allowedUIDs)
  }

  /// The control socket: mode 0600, and the peer must have our uid or be root.
  package static func bindControl(_ path: String) throws(ResponderError) -> Listener {
    Listener(descriptor: try bound(path, mode: 0o600), traits: .control, allowedUIDs: [geteuid(), 0])
  }

  /// An inherited descriptor, when it is a listening socket: systemd, spawn-fcgi and mod_fcgid hand one over.
  package static func inherited(_ descriptor: Int32, allowedUIDs: Set<UInt32>? = nil) -> Listener? {
    guard shim_is_listening(descriptor) == 1 else { return nil }
    let kept = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    guard kept >= 0, fcntl(kept, F_SETFL, fcntl(kept, F_GETFL) | O_NONBLOCK) == 0 else { return nil }
    return Listener(descriptor: kept, traits: .responder, allowedUIDs: allowedUIDs)
  }

  private static func bound(_ path: String, mode: UInt32) throws(ResponderError) -> Int32 {
    let temporary = path + ".\(getpid())"
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(temporary.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .pathTooLong(path) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .system("socket", errno) }
    func failed(_ call: StaticString) -> ResponderError {
      let code = errno
      close(descriptor)
      unsafe unlink(temporary)
      return .system(call, code)
    }
    unsafe unlink(temporary)
    // The file is made with no rights for anyone else, then given its mode before it gets its name.
    let mask = umask(0o177)
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let result = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.bind(descriptor, $0, size) }
    }
    umask(mask)
    guard result == 0 else { throw failed("bind") }
    guard unsafe chmod(temporary, mode) == 0 else { throw failed("chmod") }
    guard listen(descriptor, 4096) == 0 else { throw failed("listen") }
    guard unsafe rename(temporary, path) == 0 else { throw failed("rename") }
    return descriptor
  }

  /// The next connection: nil when the backlog is empty.
  package enum Accepted: Sendable {
    case connection(Int32)
    case empty
    /// Refused because of its uid.
    case refused
    /// No descriptors left.
    case exhausted
  }

  package func accept() -> Accepted {
    let descriptor = shim_accept(self.descriptor)
    guard descriptor >= 0 else {
      switch errno {
      case EMFILE, ENFILE, ENOMEM, ENOBUFS: return .exhausted
      case EINTR, ECONNABORTED: return .refused
      default: return .empty
      }
    }
    if let allowedUIDs, !allowedUIDs.contains(UInt32(truncatingIfNeeded: shim_peer_uid(descriptor))) {
      close(descriptor)
      return .refused
    }
    return .connection(descriptor)
  }
}
