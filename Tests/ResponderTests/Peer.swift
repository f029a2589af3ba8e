import Glibc

/// A hand-made FastCGI peer, to send what no well-behaved one would.
final class Peer: Sendable {
  struct Gone: Error {}

  struct Reply {
    let status: String
    let body: String
  }

  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let result = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
    }
    guard result == 0 else { throw Gone() }
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { Glibc.close(descriptor) }

  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }
  func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  func write(_ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress! + offset, $0.count - offset, Int32(0x4000)) }
      guard count > 0 else { throw Gone() }
      offset += count
    }
  }

  func send(_ target: String, body: [UInt8] = [], announced: String? = nil) throws -> Reply {
    try write(Self.request(target, body: body, announced: announced))
    return try reply()
  }

  /// One request that keeps the connection, its body in records of 32,000 bytes.
  static func request(_ target: String, body: [UInt8], announced: String? = nil) -> [UInt8] {
    func record(_ kind: UInt8, _ content: [UInt8]) -> [UInt8] {
      [1, kind, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 0xFF), 0, 0] + content
    }
    var parameters: [UInt8] = []
    for (name, value) in [
      ("REQUEST_METHOD", "POST"), ("REQUEST_URI", target), ("DOCUMENT_URI", target), ("CONTENT_LENGTH", announced ?? String(body.count)),
    ] {
      parameters += [UInt8(name.utf8.count), UInt8(value.utf8.count)] + name.utf8 + value.utf8
    }
    var bytes = record(1, [0, 1, 1, 0, 0, 0, 0, 0]) + record(4, parameters) + record(4, [])
    var offset = 0
    while offset < body.count {
      let end = min(body.count, offset + 32_000)
      bytes += record(5, Array(body[offset..<end]))
      offset = end
    }
    return bytes + record(5, [])
  }

  /// Records up to END_REQUEST, as status and body.
  func reply() throws -> Reply {
    var output: [UInt8] = []
    while true {
      let header = try read(8)
      let content = try read(Int(header[4]) << 8 | Int(header[5]))
      _ = try read(Int(header[6]))
      if header[1] == 3 { break }
      output += content
    }
    let separator = Array("\r\n\r\n".utf8)
    guard let end = (0..<max(0, output.count - 3)).first(where: { output[$0..<($0 + 4)].elementsEqual(separator) }) else { throw Gone() }
    let head = String(decoding: output[..<end], as: UTF8.self)
    return Reply(status: String(head.dropFirst("Status: ".count).prefix(3)), body: String(decoding: output[(end + 4)...], as: UTF8.self))
  }

  private func read(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var offset = 0
    while offset < count {
      let result = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress! + offset, count - offset, 0) }
      guard result > 0 else { throw Gone() }
      offset += result
    }
    return bytes
  }

  /// Everything until the other side closes.
  func readAll() throws -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
      guard count >= 0 || errno == ECONNRESET else { throw Gone() }
      if count <= 0 { return all }
      all += chunk.prefix(count)
    }
  }
}
