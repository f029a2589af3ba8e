/// A range of addresses (RFC 4632, RFC 4291): `192.0.2.0/24`, `2001:db8::/32`, or a single address.
package struct Network: Sendable, Equatable {
  package let text: String
  private let address: [UInt8]
  private let prefix: Int

  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let address = Self.parse(String(parts[0])) else { return nil }
    var prefix = address.count * 8
    if parts.count == 2 {
      guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1]), number <= prefix else { return nil }
      prefix = number
    }
    self.text = text
    self.address = address
    self.prefix = prefix
  }

  /// An address that is none, as that of a local socket, is in no network.
  package func contains(_ text: String) -> Bool {
    guard var other = Self.parse(text) else { return false }
    // An IPv4 address written as IPv6 (RFC 4291, section 2.5.5.2) is the IPv4 address.
    if other.count == 16, other.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) { other = Array(other.suffix(4)) }
    guard other.count == address.count else { return false }
    return (0..<prefix).allSatisfy { bit in
      let mask = UInt8(0x80) >> UInt8(bit % 8)
      return address[bit / 8] & mask == other[bit / 8] & mask
    }
  }

  private static func parse(_ text: String) -> [UInt8]? { text.utf8.contains(0x3A) ? parseSix(text) : parseFour(Substring(text)) }

  private static func parseFour(_ text: Substring) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part -> UInt8? in
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return UInt8(part)
    }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  private static func parseSix(_ text: String) -> [UInt8]? {
    let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
    guard (1...2).contains(halves.count), let head = groups(halves[0]), let tail = groups(halves.count == 2 ? halves[1] : "") else {
      return nil
    }
    if halves.count == 1 { return head.count == 16 ? head : nil }
    guard head.count + tail.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, part.contains("."), let four = parseFour(part) {
        bytes += four
        continue
      }
      guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }), let group = UInt16(part, radix: 16)
      else { return nil }
      bytes += [UInt8(group >> 8), UInt8(truncatingIfNeeded: group)]
    }
    return bytes
  }
}
