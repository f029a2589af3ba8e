/// Frames of the WebSocket protocol (RFC 6455, section 5.2), as far as a relay reads them: heads, lengths, and the first text.
struct FrameHead: Equatable {
  enum Opcode {
    static let text: UInt8 = 1
    static let close: UInt8 = 8
  }

  let isFinal: Bool
  let opcode: UInt8
  /// Four bytes; nil where the payload is in the clear.
  let mask: [UInt8]?
  /// Bytes of the payload.
  let payload: UInt64
  /// Bytes of the head itself, 2 to 14.
  let byteCount: Int

  enum Reading: Equatable {
    case head(FrameHead)
    /// More bytes are needed.
    case incomplete
    case invalid
  }

  static func read(_ bytes: some Collection<UInt8>) -> Reading {
    let bytes = Array(bytes.prefix(14))
    guard bytes.count >= 2 else { return .incomplete }
    let (first, second) = (bytes[0], bytes[1])
    // No extension that a relay knows of gives the reserved bits a meaning but the first, compression's.
    guard first & 0x30 == 0 else { return .invalid }
    var length = UInt64(second & 0x7F)
    var index = 2
    let more = length == 126 ? 2 : length == 127 ? 8 : 0
    if more > 0 {
      guard bytes.count >= 2 + more else { return .incomplete }
      length = bytes[2..<(2 + more)].reduce(0) { $0 << 8 | UInt64($1) }
      index += more
    }
    guard length < 1 << 63 else { return .invalid }
    var mask: [UInt8]?
    if second & 0x80 != 0 {
      guard bytes.count >= index + 4 else { return .incomplete }
      mask = Array(bytes[index..<(index + 4)])
      index += 4
    }
    return .head(FrameHead(isFinal: first & 0x80 != 0, opcode: first & 0x0F, mask: mask, payload: length, byteCount: index))
  }
}

/// Close frames of the server (RFC 6455, section 5.5.1) with the codes of section 7.4 and of the agent server's protocol.
enum CloseFrame {
  static let goingAway: UInt16 = 1001
  static let failed: UInt16 = 1011
  static let tryAgainLater: UInt16 = 1013
  /// The agent server's: the key is wrong, or came too late.
  static let unauthenticated: UInt16 = 4001

  /// - Parameter reason: at most 123 bytes.
  static func bytes(_ code: UInt16, _ reason: StaticString) -> [UInt8] {
    let text = Array("\(reason)".utf8.prefix(123))
    return [0x88, UInt8(2 + text.count), UInt8(code >> 8), UInt8(code & 0xFF)] + text
  }
}

/// Follows the frames of one direction without looking into them: whether a frame is whole, and whether it was the last.
struct FrameTracker {
  private var head: [UInt8] = []
  private var left: UInt64 = 0
  private(set) var hasClosed = false
  /// What came is no frame: nothing can be said any more.
  private(set) var isLost = false

  /// A frame of one's own may follow.
  var isBetweenFrames: Bool { head.isEmpty && left == 0 && !isLost }

  mutating func take(_ bytes: some Collection<UInt8>) {
    var rest = bytes[...]
    while !rest.isEmpty, !isLost {
      if left > 0 {
        let count = Int(min(left, UInt64(rest.count)))
        left -= UInt64(count)
        rest = rest.dropFirst(count)
        continue
      }
      head.append(rest[rest.startIndex])
      rest = rest.dropFirst()
      switch FrameHead.read(head) {
      case .incomplete: continue
      case .invalid: isLost = true
      case .head(let found):
        hasClosed = hasClosed || found.opcode == FrameHead.Opcode.close
        left = found.payload
        head = []
      }
    }
  }
}
