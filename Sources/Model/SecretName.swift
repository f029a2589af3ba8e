/// The name of a custom secret: an ASCII letter, then up to 63 ASCII letters, digits or underscores.
package struct SecretName: Sendable, Hashable {
  package let text: String

  /// nil when `bytes` is not a name; the whole text must match (decision D4).
  package init?(_ bytes: [UInt8]) {
    guard (1...64).contains(bytes.count), let first = bytes.first, Self.isLetter(first) else { return nil }
    guard bytes.allSatisfy({ Self.isLetter($0) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5F }) else { return nil }
    text = String(decoding: bytes, as: UTF8.self)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }
}
