package import StrictJSON

/// The wire document with its secrets in the clear, and where each lies: what is sealed at rest, and what every exposure
/// mode is spliced from without parsing.
///
/// Stored form, big-endian: `CSD1` (4) || number of slots (4) || per slot offset (4), length (4) || JSON.
package struct RenderedSettings: Sendable {
  /// A secret's string literal with its quotes.
  package struct Slot: Sendable, Equatable {
    package let offset: Int
    package let count: Int
  }

  /// The stored bytes are not of this form.
  package struct Malformed: Error {}

  package let json: [UInt8]
  package let slots: [Slot]

  private static let magic = Array("CSD1".utf8)

  init(json: [UInt8], slots: [Slot]) {
    self.json = json
    self.slots = slots
  }

  package func encoded() -> [UInt8] {
    var bytes = Self.magic
    bytes.reserveCapacity(8 + slots.count * 8 + json.count)
    func append(_ number: Int) { bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }
    append(slots.count)
    for slot in slots {
      append(slot.offset)
      append(slot.count)
    }
    return bytes + json
  }

  package init(encoded bytes: RawSpan) throws(Malformed) {
    func byte(_ offset: Int) -> UInt8 { unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    func number(at offset: Int) -> Int { (0..<4).reduce(0) { $0 << 8 | Int(byte(offset + $1)) } }
    guard bytes.byteCount >= 8, (0..<4).allSatisfy({ byte($0) == Self.magic[$0] }) else { throw Malformed() }
    let count = number(at: 4)
    let start = 8 + count * 8
    guard bytes.byteCount >= start else { throw Malformed() }
    let length = bytes.byteCount - start
    var slots: [Slot] = []
    slots.reserveCapacity(count)
    var end = 0
    for index in 0..<count {
      let slot = Slot(offset: number(at: 8 + index * 8), count: number(at: 12 + index * 8))
      guard slot.offset >= end, slot.count >= 2, slot.count <= length, slot.offset <= length - slot.count else { throw Malformed() }
      end = slot.offset + slot.count
      slots.append(slot)
    }
    json = unsafe bytes.extracting(start..<bytes.byteCount).withUnsafeBytes { unsafe Array($0) }
    self.slots = slots
  }

  /// Every secret as ten stars.
  package func redacted() -> [UInt8] { spliced { _, output in output.append(contentsOf: Self.maskLiteral) } }

  /// Every secret as `seal` makes it of the text; what it makes needs no escapes.
  package func encrypted<E: Error>(_ seal: (JSONString) throws(E) -> [UInt8]) throws(E) -> [UInt8] {
    var tokens: [[UInt8]] = []
    for slot in slots { tokens.append(try seal(text(slot))) }
    var next = 0
    return spliced { _, output in
      output.append(UInt8(ascii: "\""))
      output.append(contentsOf: tokens[next])
      output.append(UInt8(ascii: "\""))
      next += 1
    }
  }

  /// The document with its secrets.
  package func plaintext() -> [UInt8] { json }

  private static let maskLiteral = Array("\"".utf8) + Redaction.mask.utf8 + Array("\"".utf8)

  private func spliced(_ replace: (Slot, inout [UInt8]) -> Void) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(json.count + slots.count * 160)
    var position = 0
    for slot in slots {
      output.append(contentsOf: json[position..<slot.offset])
      replace(slot, &output)
      position = slot.offset + slot.count
    }
    output.append(contentsOf: json[position...])
    return output
  }

  private func text(_ slot: Slot) -> JSONString {
    let literal = json[slot.offset..<(slot.offset + slot.count)]
    if !literal.contains(0x5C) { return JSONString(utf8: Array(literal.dropFirst().dropLast())) }
    let value = try? JSONValue.parse(Array(literal), limits: JSONLimits(bytes: literal.count, depth: 1, members: 1))
    return value?.string ?? JSONString(utf8: [])
  }
}
