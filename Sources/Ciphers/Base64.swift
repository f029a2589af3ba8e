/// Base64 (RFC 4648, sections 4 and 5), padded and canonical only: unused bits are zero, nothing outside the alphabet.
package struct Base64: Sendable {
  private let alphabet: [UInt8]
  private let values: [UInt8]

  /// `+` and `/`.
  package static let standard = Base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  /// `-` and `_`.
  package static let url = Base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

  private static let padding = UInt8(ascii: "=")
  private static let invalid: UInt8 = 0xFF

  private init(_ text: String) {
    alphabet = Array(text.utf8)
    var values = [UInt8](repeating: Self.invalid, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    self.values = values
  }

  package func encode(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let first = bytes[index]
      let second = left > 1 ? bytes[index + 1] : 0
      let third = left > 2 ? bytes[index + 2] : 0
      text.append(alphabet[Int(first >> 2)])
      text.append(alphabet[Int((first & 0x03) << 4 | second >> 4)])
      text.append(left > 1 ? alphabet[Int((second & 0x0F) << 2 | third >> 6)] : Self.padding)
      text.append(left > 2 ? alphabet[Int(third & 0x3F)] : Self.padding)
      index += 3
    }
    return text
  }

  /// nil for anything but what `encode` would have written.
  package func decode(_ text: [UInt8]) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var index = 0
    while index < text.count {
      let isLast = index + 4 == text.count
      let pad = isLast ? (text[index + 3] == Self.padding ? (text[index + 2] == Self.padding ? 2 : 1) : 0) : 0
      var group: UInt32 = 0
      for position in 0..<4 {
        let value = position >= 4 - pad ? 0 : values[Int(text[index + position])]
        guard value != Self.invalid else { return nil }
        group = group << 6 | UInt32(value)
      }
      let unused: UInt32 = pad == 2 ? 0xFFFF : pad == 1 ? 0xFF : 0
      guard group & unused == 0 else { return nil }
      bytes.append(UInt8(truncatingIfNeeded: group >> 16))
      if pad < 2 { bytes.append(UInt8(truncatingIfNeeded: group >> 8)) }
      if pad < 1 { bytes.append(UInt8(truncatingIfNeeded: group)) }
      index += 4
    }
    return bytes
  }
}
