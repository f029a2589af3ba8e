import HTTPMessages
import SecretMemory
import Testing

@testable import SocketRelay

/// Opening handshakes (RFC 6455, section 4), and the key's frame.
@Suite struct HandshakeTests {
  private static let good =
    "GET /sockets/events/1?x=y HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Session-API-Key: csk_k\r\nX-Request-Id: r1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

  private func read(_ text: String) -> Handshake.Reading { Handshake.read(Array(text.utf8)[...]) }
  private func status(_ text: String) -> Int? { if case .refused(let status) = read(text) { status } else { nil } }

  @Test func aGoodOne() throws {
    guard case .handshake(let handshake) = read(Self.good + "rest") else { throw RequestRefusal.invalidPath }
    #expect(handshake.target.rawPath == "/sockets/events/1" && handshake.target.rawQuery == "x=y" && handshake.requestID == "r1")
    #expect(handshake.sessionKey == Array("csk_k".utf8) && handshake.byteCount == Self.good.utf8.count && handshake.offers.count == 1)
    // The standard's own example.
    #expect(Handshake.answer(to: handshake.nonce) == Array("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".utf8))
    for count in 0..<Self.good.utf8.count {
      guard case .incomplete = Handshake.read(Array(Self.good.utf8.prefix(count))[...]) else { throw RequestRefusal.invalidPath }
    }
  }

  @Test(arguments: [
    ("GET /sockets", "POST /sockets", 405), ("HTTP/1.1\r\n", "HTTP/1.0\r\n", 400), ("/sockets/events/1?x=y", "sockets", 400),
    ("Upgrade: websocket", "Upgrade: h2c", 426), ("Connection: Upgrade", "Connection: close", 426), ("Version: 13", "Version: 8", 426),
    ("dGhlIHNhbXBsZSBub25jZQ==", "short", 426), ("Host: h", "Host : h", 400), ("Host: h", " folded", 400), ("Host: h", "no colon", 400),
    ("Host: h", "X-Session-API-Key: other", 400), ("Host: h", "Host: h\u{1}", 400), ("GET /sockets", "GET  /sockets", 400),
  ]) func refusals(_ old: String, _ new: String, _ expected: Int) {
    #expect(Self.good.contains(old))
    #expect(status(Self.good.replacing(old, with: new)) == expected)
  }

  @Test func aHeadHasALimit() {
    #expect(status("GET / HTTP/1.1\r\nA: " + String(repeating: "a", count: Handshake.maximumHead)) == 431)
  }

  @Test func theAgentServerGetsItsOwnKeyAndNothingElse() throws {
    let bytes = Handshake.request(
      "/sockets/x", host: "h:1", nonce: Array("bm9uY2U=".utf8), offers: [("Sec-WebSocket-Protocol", Array("a".utf8))],
      key: SecretBytes(copying: Array("agent-key".utf8)))
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text.hasPrefix("GET /sockets/x HTTP/1.1\r\nHost: h:1\r\n") && text.hasSuffix("\r\nX-Session-API-Key: agent-key\r\n\r\n"))
    #expect(HTTPHead(bytes[...])?.isSound == true)
  }

  @Test func answers() {
    let nonce = Array("dGhlIHNhbXBsZSBub25jZQ==".utf8)
    func read(_ text: String) -> String {
      switch HandshakeReply.read(Array(text.utf8)[...], nonce: nonce) {
      case .incomplete: "incomplete"
      case .garbled: "garbled"
      case .reply(let reply): "\(reply.status) \(reply.opens)"
      }
    }
    let good =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nconnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    #expect(read(good) == "101 true")
    #expect(read(String(good.dropLast(2))) == "incomplete")
    #expect(read(good.replacing("s3pP", with: "s4pP")) == "garbled")
    #expect(read("HTTP/1.1 403 Forbidden\r\n\r\n") == "403 false")
    #expect(read("SSH-2.0-x\r\n\r\n") == "garbled")
  }

  private func frame(_ text: String, first: UInt8 = 0x81) -> [UInt8] {
    let mask: [UInt8] = [9, 8, 7, 6]
    let payload = zip(text.utf8, 0...).map { byte, index in byte ^ mask[index % 4] }
    let length: [UInt8] =
      payload.count < 126 ? [UInt8(payload.count) | 0x80] : [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    return [first] + length + mask + payload
  }

  @Test func theFirstFrame() {
    func read(_ bytes: [UInt8]) -> String {
      switch KeyFrame.read(bytes[...]) {
      case .incomplete: "incomplete"
      case .unacceptable: "unacceptable"
      case .key(let key, let count): String(decoding: key, as: UTF8.self) + " \(count)"
      }
    }
    let good = frame(#"{"type":"auth","session_api_key":"k"}"#)
    #expect(read(good + [1, 2]) == "k \(good.count)")
    for count in 0..<good.count { #expect(read(Array(good.prefix(count))) == "incomplete") }
    for text in [
      "", "x", "[]", #"{"type":"auth"}"#, #"{"type":"auth","session_api_key":""}"#, #"{"session_api_key":"k"}"#,
      #"{"type":"auth","session_api_key":1}"#, #"{"role":"user","content":[]}"#,
    ] { #expect(read(frame(text)) == "unacceptable", "\(text)") }
    // In pieces, binary, in the clear, a ping, too long.
    #expect(read(frame(#"{"type":"auth","session_api_key":"k"}"#, first: 0x01)) == "unacceptable")
    #expect(read(frame(#"{"type":"auth","session_api_key":"k"}"#, first: 0x82)) == "unacceptable")
    #expect(read([0x81, 0x02, 0x7B, 0x7D]) == "unacceptable")
    #expect(read(frame("", first: 0x89)) == "unacceptable")
    #expect(read([0x81, 0xFE, 0x10, 0x01, 0, 0, 0, 0]) == "unacceptable")
  }

  @Test(arguments: [
    ("http://127.0.0.1:8000", "127.0.0.1", "8000"), ("http://agent", "agent", "80"), ("http://[::1]:81", "::1", "81"),
    ("http://[::1]", "::1", "80"),
  ]) func addresses(_ origin: String, _ host: String, _ port: String) {
    #expect(AgentAddress(origin: origin) == .tcp(host: host, port: port))
  }
}
