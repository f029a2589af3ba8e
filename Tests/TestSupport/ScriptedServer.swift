internal import Glibc
internal import Threads

/// A server on a unix socket that answers each connection with the same bytes and keeps what it received. One connection
/// at a time; it ends with `stop`, or by itself after `connections`.
package final class ScriptedServer: Sendable {
  package let path: String
  private let listener: Descriptor
  private let received = Locked<[String]>([])

  /// - Parameters:
  ///   - pause: milliseconds before the answer.
  ///   - connections: how many are served.
  package init(path: String, answer: [UInt8], pause: UInt32 = 0, connections: Int = 1) throws {
    self.path = path
    let listener = Descriptor(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
    self.listener = listener
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let bound = unsafe withUnsafePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.bind(listener.number, $0, size) }
    }
    guard bound == 0, listen(listener.number, 8) == 0 else { throw Failure() }
    let received = received
    PlainThread.start(named: "scripted") {
      for _ in 0..<connections {
        let peer = accept(listener.number, nil, nil)
        guard peer >= 0 else { return }
        let request = Self.request(from: peer)
        received.withLock { $0.append(request) }
        usleep(pause * 1000)
        _ = unsafe answer.withUnsafeBytes { unsafe send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        close(peer)
      }
    }
  }

  package struct Failure: Error {}

  /// What each connection sent up to a pause of its own.
  package var requests: [String] { received.withLock { $0 } }

  /// Wakes the thread, which then ends.
  package func stop() { shutdown(listener.number, Int32(SHUT_RDWR)) }

  /// Closed when neither the server nor its thread has it any more: its number must not become another's before that.
  private final class Descriptor: Sendable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { close(number) }
  }

  private static func request(from peer: Int32) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    var waiting = pollfd(fd: peer, events: Int16(POLLIN), revents: 0)
    while unsafe poll(&waiting, 1, bytes.isEmpty ? 5000 : 100) > 0 {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(peer, $0.baseAddress, $0.count) }
      if count <= 0 { break }
      bytes += chunk.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
