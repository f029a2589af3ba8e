package import Ciphers
package import SecretMemory

/// The text of an API key: `<prefix>_<id: 16><secret: 43><check: 6>`, the first two joined by `_` (scoped spec, section 2.1):
/// `csk_<id>_<secret><check>`. The check is CRC-32 in base 62 and lets a scanner know a key; it is no security.
package struct APIKeyToken: Sendable {
  package let prefix: String
  package let id: String
  /// SHA-256 of a domain text and the whole key: what the store keeps, 32 bytes.
  package let digest: [UInt8]

  private static let idCount = 16
  private static let secretCount = 43
  private static let checkCount = 6

  /// nil when the text has another form or a wrong check; nothing is looked up then.
  package init?(parsing text: [UInt8]) {
    let parts = text.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
    guard parts.count == 3, parts[1].count == Self.idCount, parts[2].count == Self.secretCount + Self.checkCount,
      (1...8).contains(parts[0].count), parts.allSatisfy({ $0.allSatisfy(Self.isAlphanumeric) })
    else { return nil }
    let body = text.prefix(text.count - Self.checkCount)
    guard Self.check(body) == Array(text.suffix(Self.checkCount)) else { return nil }
    prefix = String(decoding: parts[0], as: UTF8.self)
    id = String(decoding: parts[1], as: UTF8.self)
    digest = Self.digest(text)
  }

  /// A new key: its text, which exists nowhere else, its id and what the store keeps.
  package static func generate(prefix: String) throws(CipherError) -> (text: SecretBytes, id: String, digest: [UInt8]) {
    let id = try RandomText.base62(count: idCount)
    var secret = try RandomText.base62Bytes(count: secretCount)
    var text = Array("\(prefix)_\(id)_".utf8) + secret
    text += check(text[...])
    defer { erase(&secret); erase(&text) }
    return (SecretBytes(copying: text), id, digest(text))
  }

  private static func digest(_ text: [UInt8]) -> [UInt8] { SHA256.digest(Array("scoped-secrets/api-key/v1".utf8) + [0] + text) }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  private static func check(_ body: ArraySlice<UInt8>) -> [UInt8] {
    var value = CRC32.checksum(body)
    var digits = [UInt8](repeating: UInt8(ascii: "0"), count: checkCount)
    for index in digits.indices.reversed() {
      digits[index] = RandomText.alphabet[Int(value % 62)]
      value /= 62
    }
    return digits
  }
}

/// CRC-32 (IEEE 802.3).
enum CRC32 {
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { crc, byte in
      crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
    }
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }
}
