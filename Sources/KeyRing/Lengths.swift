/// Builds the byte strings that are authenticated or hashed: every part with its length in front, so that no part can
/// lend a byte to its neighbour. `lp(x)` of the scoped spec, section 6.1.
struct LengthPrefixed {
  private(set) var bytes: [UInt8] = []

  /// 4-byte big-endian length, then the bytes.
  mutating func append(_ part: [UInt8]) {
    append(UInt32(truncatingIfNeeded: part.count))
    bytes += part
  }

  mutating func append(_ text: String) { append(Array(text.utf8)) }
  mutating func append(_ text: StaticString) { append("\(text)") }

  /// Without a length: the width is fixed.
  mutating func append(_ number: UInt32) { bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }
  mutating func append(_ number: UInt64) { bytes += (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
  mutating func appendRaw(_ raw: [UInt8]) { bytes += raw }
}
