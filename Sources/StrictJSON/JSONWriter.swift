/// Writes JSON: no blanks, numbers by their text, `"`, `\` and control characters escaped and nothing else.
package struct JSONWriter {
  package var bytes: [UInt8] = []

  package init(reserving capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  package mutating func append(_ value: JSONValue) {
    switch value {
    case .null: appendRaw("null")
    case .bool(true): appendRaw("true")
    case .bool(false): appendRaw("false")
    case .number(let number): bytes.append(contentsOf: number.text)
    case .string(let text): append(text)
    case .array(let elements):
      appendRaw("[")
      for (index, element) in elements.enumerated() {
        if index > 0 { appendRaw(",") }
        append(element)
      }
      appendRaw("]")
    case .object(let object):
      appendRaw("{")
      for (index, member) in object.members.enumerated() {
        if index > 0 { appendRaw(",") }
        append(member.name)
        appendRaw(":")
        append(member.value)
      }
      appendRaw("}")
    }
  }

  /// A string literal with its quotes.
  package mutating func append(_ text: JSONString) {
    bytes.append(UInt8(ascii: "\""))
    appendEscaped(unsafe text.utf8.span.bytes)
    bytes.append(UInt8(ascii: "\""))
  }

  /// A string literal with its quotes, of UTF-8 text. With room reserved no copy of it is left behind.
  package mutating func append(text: RawSpan) {
    bytes.append(UInt8(ascii: "\""))
    appendEscaped(text)
    bytes.append(UInt8(ascii: "\""))
  }

  /// The same.
  package mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(text: unsafe $0.span.bytes) }
  }

  package mutating func append(_ number: some BinaryInteger) { bytes.append(contentsOf: String(number).utf8) }

  /// Text that needs no escapes, as base64, with its quotes.
  package mutating func appendQuoted(_ text: [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    bytes.append(contentsOf: text)
    bytes.append(UInt8(ascii: "\""))
  }

  /// What needs no escape goes over in pieces.
  private mutating func appendEscaped(_ text: RawSpan) {
    unsafe text.withUnsafeBytes { text in
      var start = 0
      for index in text.indices where unsafe Self.needsEscape(text[index]) {
        unsafe bytes.append(contentsOf: text[start..<index])
        unsafe appendEscaped(text[index])
        start = index + 1
      }
      unsafe bytes.append(contentsOf: text[start...])
    }
  }

  private static func needsEscape(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x22 || byte == 0x5C }

  private mutating func appendEscaped(_ byte: UInt8) {
    switch byte {
    case 0x22, 0x5C:
      bytes.append(0x5C)
      bytes.append(byte)
    case 0x08: appendRaw("\\b")
    case 0x09: appendRaw("\\t")
    case 0x0A: appendRaw("\\n")
    case 0x0C: appendRaw("\\f")
    case 0x0D: appendRaw("\\r")
    case 0x00..<0x20:
      appendRaw("\\u00")
      bytes.append(Self.digit(byte >> 4))
      bytes.append(Self.digit(byte & 15))
    default: bytes.append(byte)
    }
  }

  /// Text that is JSON already.
  package mutating func appendRaw(_ text: StaticString) {
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// A string literal with its quotes.
  package static func literal(_ text: String) -> String {
    if !text.utf8.contains(where: needsEscape) { return "\"" + text + "\"" }
    var writer = JSONWriter()
    writer.append(text)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}

extension JSONValue {
  /// The value as compact JSON.
  package func serialized() -> [UInt8] {
    var writer = JSONWriter()
    writer.append(self)
    return writer.bytes
  }
}

extension JSONString {
  /// The text as one reference token of a JSON pointer (RFC 6901, section 3).
  package var pointerToken: String {
    var result: [UInt8] = []
    for byte in utf8 {
      switch byte {
      case UInt8(ascii: "~"): result += [0x7E, 0x30]
      case UInt8(ascii: "/"): result += [0x7E, 0x31]
      default: result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
