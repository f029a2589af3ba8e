internal import Ciphers
internal import HTTPMessages
internal import SecretMemory
internal import StrictJSON

/// The client's opening handshake (RFC 6455, section 4.2.1), as nginx passes it on.
struct Handshake {
  /// Bytes of the longest head, of either side.
  static let maximumHead = 40 << 10

  let target: RequestTarget
  /// `Sec-WebSocket-Key`, as it came.
  let nonce: [UInt8]
  /// `X-Session-API-Key`; nil when there is none.
  let sessionKey: [UInt8]?
  let requestID: String
  /// What the client offers beyond the bare protocol.
  let offers: [(name: StaticString, value: [UInt8])]
  /// Bytes of the head.
  let byteCount: Int

  enum Reading {
    case handshake(Handshake)
    case incomplete
    /// With the status to answer.
    case refused(Int)
  }

  static func read(_ bytes: ArraySlice<UInt8>) -> Reading {
    guard let head = HTTPHead(bytes) else { return bytes.count >= maximumHead ? .refused(431) : .incomplete }
    let line = head.firstLine.split(separator: 0x20, omittingEmptySubsequences: false)
    guard head.isSound, line.count == 3, line[2].elementsEqual("HTTP/1.1".utf8) else { return .refused(400) }
    guard line[0].elementsEqual("GET".utf8) else { return .refused(405) }
    guard let target = try? RequestTarget(parsing: Array(line[1]), normalised: nil) else { return .refused(400) }
    guard head.names("upgrade", "websocket"), head.names("connection", "upgrade"),
      head["sec-websocket-version"].map({ $0 == Array("13".utf8) }) == true,
      let nonce = head["sec-websocket-key"], Base64.standard.decode(nonce)?.count == 16
    else { return .refused(426) }
    let offers: [(name: StaticString, value: [UInt8])] = [
      ("Sec-WebSocket-Protocol", head["sec-websocket-protocol"]), ("Sec-WebSocket-Extensions", head["sec-websocket-extensions"]),
    ].compactMap { name, value in value.map { (name, $0) } }
    return .handshake(
      Handshake(
        target: target, nonce: nonce, sessionKey: head["x-session-api-key"].flatMap { $0.isEmpty ? nil : $0 },
        requestID: head["x-request-id"].map { String(decoding: $0.prefix(64), as: UTF8.self) } ?? "", offers: offers,
        byteCount: head.byteCount))
  }

  /// The answer that opens the socket without anything of what was offered.
  static func acceptance(of nonce: [UInt8]) -> [UInt8] {
    Array("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ".utf8)
      + answer(to: nonce) + Array("\r\n\r\n".utf8)
  }

  /// RFC 6455, section 4.2.2, number 5.4.
  static func answer(to nonce: [UInt8]) -> [UInt8] {
    Base64.standard.encode(SHA1.digest(nonce + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
  }

  /// The handshake to the agent server, with its key in the place of the client's.
  static func request(_ address: String, host: String, nonce: [UInt8], offers: [(name: StaticString, value: [UInt8])], key: SecretBytes?)
    -> [UInt8]
  {
    var bytes = Array(
      "GET \(address) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        .utf8)
    bytes += nonce
    for offer in offers { bytes += Array("\r\n\(offer.name): ".utf8) + offer.value }
    if let key {
      bytes += Array("\r\nX-Session-API-Key: ".utf8)
      key.withBytes { key in unsafe key.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
    }
    return bytes + Array("\r\n\r\n".utf8)
  }

  /// A refusal before the socket is open, in the form of the settings dialect.
  static func refusal(_ status: Int, _ detail: String) -> [UInt8] {
    let body = JSONValue.object(JSONObject(uniqueMembers: [.init(name: "detail", value: .string(JSONString(detail)))])).serialized()
    let more = status == 426 ? "Upgrade: websocket\r\nConnection: Upgrade, close\r\n" : "Connection: close\r\n"
    return Array(
      "HTTP/1.1 \(status) Refused\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\nCache-Control: no-store\r\n\(more)\r\n"
        .utf8)
      + body
  }
}

/// The agent server's answer to a handshake.
struct HandshakeReply {
  let status: Int
  /// It speaks WebSocket from here on, and has answered this handshake.
  let opens: Bool
  let byteCount: Int

  enum Reading {
    case reply(HandshakeReply)
    case incomplete
    case garbled
  }

  static func read(_ bytes: ArraySlice<UInt8>, nonce: [UInt8]) -> Reading {
    guard let head = HTTPHead(bytes) else { return bytes.count >= Handshake.maximumHead ? .garbled : .incomplete }
    let line = head.firstLine.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
    guard head.isSound, line.count >= 2, line[0].elementsEqual("HTTP/1.1".utf8), line[1].count == 3,
      let status = Int(String(decoding: line[1], as: UTF8.self))
    else { return .garbled }
    let opens = status == 101 && head.names("upgrade", "websocket") && head["sec-websocket-accept"] == Handshake.answer(to: nonce)
    if status == 101, !opens { return .garbled }
    return .reply(HandshakeReply(status: status, opens: opens, byteCount: head.byteCount))
  }
}

/// The head of an HTTP/1.1 message: one line, then fields. Names in lower case, values without blanks around them.
struct HTTPHead {
  let firstLine: ArraySlice<UInt8>
  /// Bytes up to and with the empty line.
  let byteCount: Int
  /// No field was malformed, folded, or named twice where once is the rule.
  private(set) var isSound = true
  private var fields: [String: [UInt8]] = [:]
  private static let end = Array("\r\n\r\n".utf8)

  /// nil while the empty line has not come.
  init?(_ bytes: ArraySlice<UInt8>) {
    let bytes = bytes.prefix(Handshake.maximumHead)
    guard let end = Self.endIndex(of: bytes) else { return nil }
    byteCount = end - bytes.startIndex
    let lines = bytes[..<(end - 4)].split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
      line.last == 0x0D ? line.dropLast() : line
    }
    firstLine = lines[0]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
        line[..<colon].allSatisfy({ (0x21...0x7E).contains($0) })
      else {
        isSound = false
        continue
      }
      let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
      var value = line[(colon + 1)...]
      while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
      while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
      if value.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) { isSound = false }
      if let known = fields[name] {
        // A list may go on in a second field (RFC 9110, section 5.3); of a key there is one.
        guard ["connection", "sec-websocket-protocol", "sec-websocket-extensions"].contains(name) else {
          isSound = isSound && !["x-session-api-key", "sec-websocket-key", "sec-websocket-accept", "upgrade"].contains(name)
          continue
        }
        fields[name] = known + Array(", ".utf8) + value
      } else {
        fields[name] = Array(value)
      }
    }
  }

  subscript(_ name: String) -> [UInt8]? { fields[name] }

  /// Whether the list in a field has a word, in any case.
  func names(_ field: String, _ word: String) -> Bool {
    guard let value = fields[field] else { return false }
    return String(decoding: value, as: UTF8.self).lowercased().split(separator: ",").contains { part in
      part.drop { $0 == " " }.prefix { $0 != " " } == word
    }
  }

  private static func endIndex(of bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= 4 else { return nil }
    var index = bytes.startIndex + 3
    while index < bytes.endIndex {
      if bytes[index] == 0x0A, bytes[index - 1] == 0x0D, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D { return index + 1 }
      index += 1
    }
    return nil
  }
}

/// The first frame of a socket that was opened without a key: `{"type":"auth","session_api_key":"…"}` (settings spec, 10.10).
enum KeyFrame {
  /// Bytes of the longest one.
  static let maximum = 4 << 10

  enum Reading {
    /// The key, and the bytes of the frame.
    case key([UInt8], byteCount: Int)
    case incomplete
    case unacceptable
  }

  static func read(_ bytes: ArraySlice<UInt8>) -> Reading {
    switch FrameHead.read(bytes) {
    case .incomplete: return .incomplete
    case .invalid: return .unacceptable
    case .head(let head):
      guard head.isFinal, head.opcode == FrameHead.Opcode.text, let mask = head.mask, head.payload <= UInt64(maximum) else {
        return .unacceptable
      }
      let count = Int(head.payload)
      guard bytes.count >= head.byteCount + count else { return .incomplete }
      let payload = bytes.dropFirst(head.byteCount).prefix(count)
      var text = zip(payload, 0...).map { byte, index in byte ^ mask[index % 4] }
      defer { erase(&text) }
      guard let object = try? JSONValue.parse(text, limits: JSONLimits(bytes: maximum, depth: 4, members: 16)).object,
        object["type"] == "auth", let key = object["session_api_key"]?.string?.utf8, !key.isEmpty
      else { return .unacceptable }
      return .key(key, byteCount: head.byteCount + count)
    }
  }
}
