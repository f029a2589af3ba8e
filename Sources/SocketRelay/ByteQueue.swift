internal import CShim
internal import Glibc
internal import SecretMemory

/// Bytes on their way from one socket to another, never more than `capacity`: a slow reader holds its sender back, not memory.
struct ByteQueue {
  static let capacity = 64 << 10

  private var bytes: [UInt8] = []
  private var start = 0

  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }
  var room: Int { Self.capacity - count }
  var contents: ArraySlice<UInt8> { bytes[start...] }

  mutating func append(_ more: some Collection<UInt8>) {
    if start > 0, start >= Self.capacity / 2 || isEmpty {
      bytes.removeSubrange(..<start)
      start = 0
    }
    bytes.append(contentsOf: more)
  }

  /// Takes the first `count` bytes out and overwrites them.
  mutating func drop(_ count: Int) {
    for index in start..<(start + count) { bytes[index] = 0 }
    start += count
    guard isEmpty else { return }
    bytes.removeAll(keepingCapacity: bytes.capacity <= 4096)
    start = 0
  }

  enum Sending {
    /// Everything, or as much as the socket takes now.
    case done
    case broken
  }

  /// Sends what the socket takes.
  mutating func send(to descriptor: Int32) -> Sending {
    while !isEmpty {
      let sent = unsafe contents.withUnsafeBytes { unsafe shim_send(descriptor, $0.baseAddress, UInt($0.count)) }
      if sent < 0 {
        if errno == EINTR { continue }
        return errno == EAGAIN ? .done : .broken
      }
      drop(sent)
    }
    return .done
  }
}
