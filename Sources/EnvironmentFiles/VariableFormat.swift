package import SecretMemory
internal import StrictJSON

/// How variables are written down for a program that reads them. What a form cannot say exactly is refused.
///
/// A name must be letters, digits and underscores; a digit does not begin it.
package enum VariableFormat: String, Sendable, CaseIterable {
  /// A .env file. There is no standard, so only what python-dotenv and Node (--env-file) read alike is written.
  case dotenv
  /// One JSON object of texts (RFC 8259).
  case json
  /// Commands for a POSIX shell: `eval "$(…)"` or a file to source.
  case shell
  /// A file for `docker run --env-file`: everything behind the first `=` up to the line's end, quotes included.
  case docker
  /// A file for EnvironmentFile= of a systemd unit: systemd.exec(5).
  case systemd

  /// The longest line of a docker file: its reader's buffer holds 64 KiB with the line end.
  private static let dockerLineBytes = 65_535

  package func text(of variables: [Variable]) throws(UnwritableVariable) -> SecretBytes {
    var text: [UInt8] = []
    defer { erase(&text) }
    if self == .json { text.append(UInt8(ascii: "{")) }
    for (index, variable) in variables.enumerated() {
      var value = variable.value.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
      defer { erase(&value) }
      if let reason = obstacle(in: value, name: variable.name) { throw UnwritableVariable(name: variable.name, reason: reason) }
      var line = line(variable.name, value)
      defer { erase(&line) }
      if self == .json, index > 0 { text.append(UInt8(ascii: ",")) }
      Self.append(line, to: &text)
    }
    if self == .json { text += Array("}\n".utf8) }
    return SecretBytes(copying: text)
  }

  private func line(_ name: String, _ value: [UInt8]) -> [UInt8] {
    let assignment = Array((name + "=").utf8)
    switch self {
    case .dotenv: return assignment + (Self.fitsSingleQuotes(value) ? Self.quoted(value, "'") : Self.quoted(value, "\"")) + [0x0A]
    case .json:
      return JSONValue.string(JSONString(name)).serialized() + [UInt8(ascii: ":")] + JSONValue.string(JSONString(utf8: value)).serialized()
    case .shell: return Array("export ".utf8) + assignment + Self.quoted(value, "'", replacing: ["'": "'\\''"]) + [0x0A]
    case .docker: return assignment + value + [0x0A]
    case .systemd:
      return assignment + Self.quoted(value, "\"", replacing: ["\"": "\\\"", "\\": "\\\\", "`": "\\`", "$": "\\$"]) + [0x0A]
    }
  }

  private func obstacle(in value: [UInt8], name: String) -> UnwritableVariable.Reason? {
    if self != .json, value.contains(0) { return .zeroByte }
    if self == .shell { return nil }
    guard let text = String(validating: value, as: UTF8.self) else { return .notText }
    switch self {
    case .json, .shell: return nil
    case .docker:
      if value.contains(where: { $0 == 0x0A || $0 == 0x0D }) { return .lineEnd }
      return name.utf8.count + 1 + value.count > Self.dockerLineBytes ? .length : nil
    case .systemd:
      return text.unicodeScalars.contains { $0 == "\u{FEFF}" || $0.properties.isNoncharacterCodePoint } ? .noncharacter : nil
    case .dotenv:
      if value.contains(0x0D) { return .carriageReturn }
      return Self.fitsSingleQuotes(value) || Self.fitsDoubleQuotes(value) ? nil : .ambiguity
    }
  }

  /// python-dotenv takes `\\` and `\'` in single quotes for escapes and `${` for a variable; the others do not.
  private static func fitsSingleQuotes(_ value: [UInt8]) -> Bool {
    !value.contains(UInt8(ascii: "'")) && value.last != UInt8(ascii: "\\") && !contains(value, "\\\\") && !contains(value, "${")
  }

  private static func fitsDoubleQuotes(_ value: [UInt8]) -> Bool { !value.contains { "\"\\$`".utf8.contains($0) } }

  private static func contains(_ value: [UInt8], _ pair: StaticString) -> Bool {
    zip(value, value.dropFirst()).contains { unsafe $0 == pair.utf8Start[0] && $1 == pair.utf8Start[1] }
  }

  private static func quoted(_ value: [UInt8], _ quote: Character, replacing escapes: [Character: String] = [:]) -> [UInt8] {
    var replacements = [[UInt8]?](repeating: nil, count: 256)
    for (character, text) in escapes { if let byte = character.asciiValue { replacements[Int(byte)] = Array(text.utf8) } }
    // Room for all that can be added, so that no half-written copy is left behind when it grows.
    var text: [UInt8] = []
    text.reserveCapacity(value.count * 4 + 2)
    text.append(contentsOf: quote.utf8)
    for byte in value {
      if let replacement = replacements[Int(byte)] { text += replacement } else { text.append(byte) }
    }
    text.append(contentsOf: quote.utf8)
    return text
  }

  /// Appends, and erases what growing would leave behind.
  private static func append(_ line: [UInt8], to text: inout [UInt8]) {
    if text.count + line.count > text.capacity {
      var larger: [UInt8] = []
      larger.reserveCapacity((text.count + line.count) * 2)
      larger += text
      erase(&text)
      text = larger
    }
    text += line
  }
}
