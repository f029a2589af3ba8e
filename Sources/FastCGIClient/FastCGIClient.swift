internal import Glibc

/// One request to a FastCGI responder over a unix socket, in the way nginx sends it: one connection, request id 1, the
/// responder role (FastCGI 1.0, sections 3 to 6). Blocking, with a limit on time and on the answer's size.
package struct FastCGIClient: Sendable {
  package enum Failure: Error, Sendable, Equatable {
    /// Nobody listens there, or we may not connect; the number is errno.
    case unreachable(Int32)
    case timedOut
    /// The responder closed before the end of its answer.
    case cutOff
    /// What came is no FastCGI answer.
    case malformed
    case tooLarge
  }

  private let path: String
  private let timeout: Int
  private let limit: Int

  /// - Parameters:
  ///   - path: the unix socket.
  ///   - timeout: seconds for each read and each write.
  ///   - limit: bytes of the longest accepted answer.
  package init(path: String, timeout: Int = 10, limit: Int = 16 << 20) {
    self.path = path
    self.timeout = timeout
    self.limit = limit
  }

  package func send(_ request: FastCGIRequest) throws(Failure) -> FastCGIReply {
    let descriptor = try connected()
    defer { close(descriptor) }
    try write(request.records, to: descriptor)
    return try read(from: descriptor)
  }

  /// True when somebody accepts connections there.
  package func isReachable() -> Bool {
    guard let descriptor = try? connected() else { return false }
    close(descriptor)
    return true
  }

  /// A connection, blocking, within the limit of time. The caller closes it.
  package func connected() throws(Failure) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .unreachable(ENAMETOOLONG) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .unreachable(errno) }
    var limit = timeval(tv_sec: timeout, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let result = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, length) }
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw .unreachable(code)
    }
    return descriptor
  }

  private func write(_ bytes: [UInt8], to descriptor: Int32) throws(Failure) {
    var sent = 0
    while sent < bytes.count {
      let rest = sent
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.send(descriptor, buffer.baseAddress! + rest, buffer.count - rest, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw errno == EAGAIN ? .timedOut : .cutOff }
      sent += count
    }
  }

  private func read(from descriptor: Int32) throws(Failure) -> FastCGIReply {
    var collector = ReplyCollector(limit: limit)
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw count < 0 && errno == EAGAIN ? .timedOut : .cutOff }
      try collector.add(chunk[..<count])
      if let reply = try collector.reply() { return reply }
    }
  }
}
