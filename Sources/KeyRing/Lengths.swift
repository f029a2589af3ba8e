/// Builds the byte strings that are authenticated or hashed: every part with its length in front, so that no part can
/// lend a byte to its neighbour. `lp(x)` of the scoped spec, section 6.1.
struct LengthPrefixed {
  private(set) var bytes: [UInt8] = []

  /// Most messages fit: no growing on the way.
  init() { bytes.reserveCapacity(512) }

  /// 4-byte big-endian length, then the bytes.
  mutating func append(_ part: [UInt8]) {
    append(UInt32(truncatingIfNeeded: part.count))
    bytes.append(contentsOf: part)
  }

  mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { part in
      append(UInt32(truncatingIfNeeded: part.count))
      unsafe bytes.append(contentsOf: part)
    }
  }

  mutating func append(_ text: StaticString) {
    append(UInt32(truncatingIfNeeded: text.utf8CodeUnitCount))
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Without a length: the width is fixed.
  mutating func append(_ number: UInt32) { unsafe withUnsafeBytes(of: number.bigEndian) { unsafe bytes.append(contentsOf: $0) } }
  mutating func append(_ number: UInt64) { unsafe withUnsafeBytes(of: number.bigEndian) { unsafe bytes.append(contentsOf: $0) } }

  mutating func appendRaw(_ byte: UInt8) { bytes.append(byte) }
  mutating func appendRaw(_ raw: some Collection<UInt8>) { bytes.append(contentsOf: raw) }
}
