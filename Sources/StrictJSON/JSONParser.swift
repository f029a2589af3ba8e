extension JSONValue {
  /// Parses one JSON text (RFC 8259, I-JSON's uniqueness of names).
  ///
  /// Refused beyond the grammar: a byte order mark, any encoding but UTF-8, repeated names (compared by bytes after
  /// unescaping), escapes that stand for lone surrogates, and what `limits` excludes.
  package static func parse(_ bytes: RawSpan, limits: JSONLimits) throws(JSONError) -> JSONValue {
    guard bytes.byteCount <= limits.bytes else { throw JSONError(.tooLarge, at: limits.bytes) }
    var parser = JSONParser(text: unsafe bytes.withUnsafeBytes { unsafe Array($0) }, limits: limits)
    defer { parser.erase() }
    return try parser.document()
  }

  package static func parse(_ bytes: [UInt8], limits: JSONLimits) throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else { throw JSONError(.tooLarge, at: limits.bytes) }
    var parser = JSONParser(text: bytes, limits: limits)
    return try parser.document()
  }
}

private struct JSONParser {
  private var text: [UInt8]
  private let limits: JSONLimits
  private var offset = 0
  private var members = 0

  init(text: [UInt8], limits: JSONLimits) {
    self.text = text
    self.limits = limits
  }

  /// The parser's copy of a body may hold secrets.
  mutating func erase() {
    for index in text.indices { text[index] = 0 }
  }

  mutating func document() throws(JSONError) -> JSONValue {
    skipBlanks()
    guard offset < text.count else { throw JSONError(.empty, at: offset) }
    let value = try value(depth: 0)
    skipBlanks()
    guard offset == text.count else { throw JSONError(.trailingText, at: offset) }
    return value
  }

  // MARK: - Values

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard offset < text.count else { throw JSONError(.syntax, at: offset) }
    switch text[offset] {
    case UInt8(ascii: "{"): return try object(depth: depth + 1)
    case UInt8(ascii: "["): return try array(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), 0x30...0x39: return .number(try number())
    default: throw JSONError(.syntax, at: offset)
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let count = word.utf8CodeUnitCount
    guard text.count - offset >= count else { throw JSONError(.syntax, at: offset) }
    for index in 0..<count where unsafe text[offset + index] != word.utf8Start[index] { throw JSONError(.syntax, at: offset + index) }
    offset += count
    return value
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= limits.depth else { throw JSONError(.tooDeep, at: offset) }
    offset += 1
    skipBlanks()
    if take("]") { return .array([]) }
    var elements: [JSONValue] = []
    while true {
      try countMember()
      elements.append(try value(depth: depth))
      skipBlanks()
      if take("]") { return .array(elements) }
      guard take(",") else { throw JSONError(.syntax, at: offset) }
      skipBlanks()
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= limits.depth else { throw JSONError(.tooDeep, at: offset) }
    offset += 1
    skipBlanks()
    if take("}") { return .object(JSONObject()) }
    var object = JSONObject.Builder()
    while true {
      try countMember()
      let start = offset
      guard offset < text.count, text[offset] == UInt8(ascii: "\"") else { throw JSONError(.syntax, at: offset) }
      let name = try string()
      skipBlanks()
      guard take(":") else { throw JSONError(.syntax, at: offset) }
      skipBlanks()
      guard object.append(name, try value(depth: depth)) else { throw JSONError(.duplicateName, at: start) }
      skipBlanks()
      if take("}") { return .object(object.object) }
      guard take(",") else { throw JSONError(.syntax, at: offset) }
      skipBlanks()
    }
  }

  private mutating func countMember() throws(JSONError) {
    members += 1
    guard members <= limits.members else { throw JSONError(.tooManyMembers, at: offset) }
  }

  // MARK: - Numbers

  /// RFC 8259, section 6: kept as text.
  private mutating func number() throws(JSONError) -> JSONNumber {
    let start = offset
    _ = take("-")
    if take("0") {
      if offset < text.count, isDigit(text[offset]) { throw JSONError(.syntax, at: offset) }
    } else {
      try digits()
    }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
    return JSONNumber(validated: Array(text[start..<offset]))
  }

  /// One digit or more.
  private mutating func digits() throws(JSONError) {
    guard offset < text.count, isDigit(text[offset]) else { throw JSONError(.syntax, at: offset) }
    while offset < text.count, isDigit(text[offset]) { offset += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  // MARK: - Strings

  private mutating func string() throws(JSONError) -> JSONString {
    offset += 1
    let start = offset
    // Most strings have no escape: one pass, one copy.
    try skipPlain()
    guard offset < text.count else { throw JSONError(.syntax, at: offset) }
    if text[offset] == UInt8(ascii: "\"") {
      defer { offset += 1 }
      return JSONString(utf8: Array(text[start..<offset]))
    }
    var result = Array(text[start..<offset])
    while true {
      guard offset < text.count else { throw JSONError(.syntax, at: offset) }
      if take("\"") { return JSONString(utf8: result) }
      try escape(into: &result)
      let run = offset
      try skipPlain()
      result.append(contentsOf: text[run..<offset])
    }
  }

  /// Up to the next quote or backslash; checks UTF-8 on the way (RFC 3629, section 4).
  private mutating func skipPlain() throws(JSONError) {
    while offset < text.count {
      let byte = text[offset]
      switch byte {
      case 0x22, 0x5C: return
      case 0x20...0x7F: offset += 1
      case 0x00..<0x20: throw JSONError(.syntax, at: offset)
      default:
        let length = UTF8Sequence.length(in: text, at: offset)
        guard length > 0 else { throw JSONError(.encoding, at: offset) }
        offset += length
      }
    }
  }

  private mutating func escape(into result: inout [UInt8]) throws(JSONError) {
    let start = offset
    offset += 1
    guard offset < text.count else { throw JSONError(.syntax, at: offset) }
    let letter = text[offset]
    offset += 1
    switch letter {
    case 0x22, 0x5C, 0x2F: result.append(letter)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0C)
    case UInt8(ascii: "n"): result.append(0x0A)
    case UInt8(ascii: "r"): result.append(0x0D)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "u"): try unicodeEscape(from: start, into: &result)
    default: throw JSONError(.syntax, at: offset - 1)
    }
  }

  private mutating func unicodeEscape(from start: Int, into result: inout [UInt8]) throws(JSONError) {
    var scalar = try hexadecimal()
    if (0xD800..<0xDC00).contains(scalar) {
      guard take("\\"), take("u") else { throw JSONError(.loneSurrogate, at: start) }
      let low = try hexadecimal()
      guard (0xDC00..<0xE000).contains(low) else { throw JSONError(.loneSurrogate, at: start) }
      scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00)
    }
    guard let character = Unicode.Scalar(scalar) else { throw JSONError(.loneSurrogate, at: start) }
    result.append(contentsOf: UTF8.encode(character).unsafelyUnwrappedBytes)
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard offset < text.count else { throw JSONError(.syntax, at: offset) }
      let byte = text[offset]
      switch byte {
      case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
      case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
      case 0x61...0x66: value = value << 4 | UInt32(byte - 0x57)
      default: throw JSONError(.syntax, at: offset)
      }
      offset += 1
    }
    return value
  }

  // MARK: - Bytes

  private mutating func skipBlanks() {
    while offset < text.count {
      switch text[offset] {
      case 0x20, 0x09, 0x0A, 0x0D: offset += 1
      default: return
      }
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard offset < text.count, text[offset] == UInt8(truncatingIfNeeded: character.value) else { return false }
    offset += 1
    return true
  }
}

extension Optional where Wrapped == UTF8.EncodedScalar {
  /// Every `Unicode.Scalar` has a UTF-8 form.
  fileprivate var unsafelyUnwrappedBytes: [UInt8] { self.map { Array($0) } ?? [] }
}
