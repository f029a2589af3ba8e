package import SecretMemory

/// The variables of a .env file, in their order.
///
/// There is no standard of such files. What python-dotenv and Node (--env-file) read alike is taken; a line that
/// they read in different ways is refused, since one of the readings is not the secret that was meant.
package struct DotenvFile: Sendable {
  package let variables: [Variable]

  package init(parsing text: SecretBytes) throws(DotenvProblem) {
    var bytes = text.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&bytes) }
    var reader = DotenvReader(bytes: bytes)
    defer { erase(&reader.bytes) }
    variables = try reader.variables()
  }
}

/// Where and why a .env file is refused; never what stands there.
package struct DotenvProblem: Error, Equatable {
  package enum Reason: String, Sendable {
    case noName = "a line is NAME=value, and a name has letters, digits, dots, underscores and dashes only"
    case noAssignment = "there is no = behind the name"
    case notText = "the value is no UTF-8, or holds a zero byte"
    case unclosed = "the quotes are not closed"
    case behindQuotes = "something stands behind the closing quote"
    case backslash =
      "a backslash that readers take in different ways; in '…' one is itself before all but \\ and ', in \"…\" only \\n is a line end"
    case dollar = "${, or $NAME or $( outside of '…', which some readers replace; coffer set takes every value"
    case hash = "a # that only some readers take for a comment; quote the value, or put a blank before the comment"
    case blank = "a tab, or another blank than a space, that only some readers cut off; quote the value, and use spaces"
    case backquote = "backquotes, which only some readers take for quotes"
    case carriageReturn = "a carriage return inside the value"
    case twice = "the name was there before"
  }

  package let line: Int
  package let reason: Reason
}

struct DotenvReader {
  var bytes: [UInt8]
  private var position = 0
  private var line = 1

  init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func variables() throws(DotenvProblem) -> [Variable] {
    var found: [Variable] = []
    var names: Set<String> = []
    while skipToStatement() {
      let start = line
      let name = try name()
      guard names.insert(name).inserted else { throw DotenvProblem(line: start, reason: .twice) }
      var value = try value()
      defer { erase(&value) }
      guard !value.contains(0), String(validating: value, as: UTF8.self) != nil else { throw DotenvProblem(line: start, reason: .notText) }
      found.append(Variable(name: name, value: SecretBytes(copying: value)))
    }
    return found
  }

  /// Past blank lines and comments; false at the end.
  private mutating func skipToStatement() -> Bool {
    while let byte = next {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\r"): position += 1
      case UInt8(ascii: "\n"): endLine()
      case UInt8(ascii: "#"): while let byte = next, byte != 0x0A { position += 1 }
      default: return true
      }
    }
    return false
  }

  private mutating func endLine() {
    position += 1
    line += 1
  }

  private mutating func skipSpaces() { while next == UInt8(ascii: " ") { position += 1 } }

  private mutating func name() throws(DotenvProblem) -> String {
    var name = word()
    let end = position
    skipSpaces()
    if name == "export", position > end, next != UInt8(ascii: "=") {
      name = word()
      skipSpaces()
    }
    guard let first = name.utf8.first, Self.isLetter(first) else { throw DotenvProblem(line: line, reason: .noName) }
    guard next == UInt8(ascii: "=") else {
      throw DotenvProblem(line: line, reason: next == nil || next == 0x0A || next == 0x0D ? .noAssignment : .noName)
    }
    position += 1
    skipSpaces()
    return name
  }

  private mutating func word() -> String {
    let start = position
    while let byte = next, Self.isLetter(byte) || (0x30...0x39).contains(byte) || byte == 0x2E || byte == 0x2D { position += 1 }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
  }

  private mutating func value() throws(DotenvProblem) -> [UInt8] {
    switch next {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return try quotedValue(quote: bytes[position])
    case UInt8(ascii: "`"): throw DotenvProblem(line: line, reason: .backquote)
    default: return try plainValue()
    }
  }

  private mutating func quotedValue(quote: UInt8) throws(DotenvProblem) -> [UInt8] {
    let start = line
    let isDouble = quote == UInt8(ascii: "\"")
    var value: [UInt8] = []
    value.reserveCapacity(bytes.count - position)
    position += 1
    while let byte = next, byte != quote {
      let following = position + 1 < bytes.count ? bytes[position + 1] : nil
      switch byte {
      case 0x0D: throw DotenvProblem(line: line, reason: .carriageReturn)
      case UInt8(ascii: "\\"):
        let isNewline = isDouble && following == UInt8(ascii: "n")
        let isItself = !isDouble && following != UInt8(ascii: "\\") && following != quote
        guard isNewline || isItself else { throw DotenvProblem(line: line, reason: .backslash) }
        value.append(isNewline ? 0x0A : byte)
        position += isNewline ? 2 : 1
        continue
      case UInt8(ascii: "$") where isDouble ? Self.beginsName(following) : following == UInt8(ascii: "{"):
        throw DotenvProblem(line: line, reason: .dollar)
      default: value.append(byte)
      }
      if byte == 0x0A { endLine() } else { position += 1 }
    }
    guard next == quote else { throw DotenvProblem(line: start, reason: .unclosed) }
    position += 1
    skipSpaces()
    if next == UInt8(ascii: "#") { while let byte = next, byte != 0x0A { position += 1 } }
    if next == 0x0D { position += 1 }
    guard next == nil || next == 0x0A else { throw DotenvProblem(line: line, reason: .behindQuotes) }
    return value
  }

  /// Up to the line's end or a comment, without blanks at its ends.
  private mutating func plainValue() throws(DotenvProblem) -> [UInt8] {
    let start = position
    while let byte = next, byte != 0x0A { position += 1 }
    var value = bytes[start..<position]
    if value.last == 0x0D { value = value.dropLast() }
    if let hash = value.firstIndex(of: UInt8(ascii: "#")) {
      guard hash > start, value[hash - 1] == UInt8(ascii: " ") else { throw DotenvProblem(line: line, reason: .hash) }
      value = value[..<hash]
    }
    while value.last == UInt8(ascii: " ") { value = value.dropLast() }
    guard !value.contains(0x0D) else { throw DotenvProblem(line: line, reason: .carriageReturn) }
    for (byte, following) in zip(value, value.dropFirst()) where byte == UInt8(ascii: "$") && Self.beginsName(following) {
      throw DotenvProblem(line: line, reason: .dollar)
    }
    let scalars = String(decoding: value, as: UTF8.self).unicodeScalars
    if let first = scalars.first, let last = scalars.last, Self.isBlank(first) || Self.isBlank(last) {
      throw DotenvProblem(line: line, reason: .blank)
    }
    return Array(value)
  }

  /// White space, and the control characters that some take for it.
  private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || scalar.properties.generalCategory == .control
  }

  /// What some replace by the value of a variable, or by what a command prints.
  private static func beginsName(_ byte: UInt8?) -> Bool {
    byte.map { isLetter($0) || $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "(") } ?? false
  }
}
