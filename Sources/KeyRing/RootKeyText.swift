internal import Ciphers
package import SecretMemory

/// The root key as text that can be copied to paper:
///
///     coffer-root-key-v1 <id> <base64 of 32 bytes> <first 8 hex digits of SHA-256 of all before>
///
/// One line, ASCII. The check finds a slip of the pen; it is no security.
extension RootKey {
  package enum TextError: Error, Sendable, Equatable {
    case empty, notARootKey, newerFormat, wrongCheck
  }

  package var text: SecretBytes {
    var line = Self.line(id: id, key: key)
    defer { erase(&line) }
    return SecretBytes(copying: line + [UInt8(ascii: "\n")])
  }

  private static func line(id: String, key: SecretBytes) -> [UInt8] {
    var bytes = key.withBytes { key in unsafe key.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&bytes) }
    let body = Array("coffer-root-key-v1 \(id) ".utf8) + Base64.standard.encode(bytes)
    return body + [0x20] + check(body)
  }

  /// The first 8 hexadecimal digits of SHA-256.
  static func check(_ body: [UInt8]) -> [UInt8] { WireText.hexadecimal(Array(SHA256.digest(body).prefix(4))) }

  /// Reads the text form; blanks around it are ignored.
  package init(text: SecretBytes) throws(TextError) {
    var bytes = text.withBytes { text in unsafe text.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&bytes) }
    let words = bytes.split { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
    guard let first = words.first else { throw .empty }
    guard first.starts(with: "coffer-root-key-v".utf8) else { throw .notARootKey }
    guard Array(first) == Array("coffer-root-key-v1".utf8) else { throw .newerFormat }
    guard words.count == 4, words[1].count == 16, words[1].allSatisfy(RandomText.alphabet.contains),
      var key = Base64.standard.decode(Array(words[2])), key.count == Self.bytes
    else { throw .notARootKey }
    defer { erase(&key) }
    let body = words[..<3].joined(separator: [0x20])
    guard Self.check(Array(body)) == Array(words[3]) else { throw .wrongCheck }
    do {
      try self.init(id: String(decoding: words[1], as: UTF8.self), key: SecretBytes(copying: key))
    } catch { throw .notARootKey }
  }
}
