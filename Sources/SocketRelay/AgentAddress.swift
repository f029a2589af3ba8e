internal import Glibc

/// Where the agent server listens.
package enum AgentAddress: Sendable, Equatable {
  case unix(String)
  case tcp(host: String, port: String)

  /// - Parameter origin: `http://HOST:PORT`, or without a port; IPv6 addresses in brackets.
  package init?(origin: String) {
    guard origin.hasPrefix("http://") else { return nil }
    let authority = origin.dropFirst(7)
    let end = authority.lastIndex(of: "]") ?? authority.startIndex
    let colon = authority[end...].lastIndex(of: ":")
    let host = authority[..<(colon ?? authority.endIndex)].filter { $0 != "[" && $0 != "]" }
    guard !host.isEmpty else { return nil }
    self = .tcp(host: host, port: colon.map { String(authority[authority.index(after: $0)...]) } ?? "80")
  }

  /// For the Host field.
  var host: String {
    switch self {
    case .unix: "localhost"
    case .tcp(let host, let port): (host.contains(":") ? "[\(host)]" : host) + ":" + port
    }
  }

  /// A socket address as the kernel takes it.
  struct Resolved: Sendable {
    let family: Int32
    let bytes: [UInt8]
  }

  /// The addresses in the order to try them. Asks other machines where the host is a name and `isNumeric` is false: then it
  /// blocks its thread.
  ///
  /// - Parameter isNumeric: only what needs no question; empty when that is not enough.
  func resolved(isNumeric: Bool) -> [Resolved] {
    switch self {
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let text = Array(path.utf8)
      guard text.count < MemoryLayout.size(ofValue: address.sun_path) else { return [] }
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: text) }
      return unsafe withUnsafeBytes(of: &address) { [Resolved(family: AF_UNIX, bytes: unsafe Array($0))] }
    case .tcp(let host, let port):
      var hints = unsafe addrinfo()
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      unsafe hints.ai_flags = isNumeric ? AI_NUMERICHOST | AI_NUMERICSERV : AI_NUMERICSERV
      var list: UnsafeMutablePointer<addrinfo>?
      guard unsafe getaddrinfo(host, port, &hints, &list) == 0 else { return [] }
      defer { unsafe freeaddrinfo(list) }
      var found: [Resolved] = []
      var next = unsafe list
      while let entry = unsafe next {
        if let address = unsafe entry.pointee.ai_addr {
          let bytes = unsafe Array(UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen)))
          found.append(Resolved(family: unsafe entry.pointee.ai_family, bytes: bytes))
        }
        unsafe next = entry.pointee.ai_next
      }
      return found
    }
  }
}

extension AgentAddress.Resolved {
  enum Dialling {
    case connected(Int32)
    /// Writable once it is decided.
    case pending(Int32)
    case failed
  }

  func dial() -> Dialling {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return .failed }
    if family != AF_UNIX {
      // Frames are small and wanted at once.
      var on: Int32 = 1
      unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    let result = unsafe bytes.withUnsafeBytes { bytes in
      unsafe connect(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    if result == 0 { return .connected(descriptor) }
    // A unix socket whose backlog is full says EAGAIN, and will not tell when there is room.
    if errno == EINPROGRESS { return .pending(descriptor) }
    close(descriptor)
    return .failed
  }
}
