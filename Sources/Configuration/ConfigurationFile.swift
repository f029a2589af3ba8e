/// The text form: lines of `key = value`, blank lines, and lines whose first mark is `#`.
///
/// A value is everything after the equals sign without the blanks around it; there is no quoting, no continuation
/// and no comment behind a value.
enum ConfigurationFile {
  /// Bytes.
  static let limit = 65536

  static func parse(_ bytes: [UInt8], path: String) throws(ConfigurationError) -> [SettingName: RawValue] {
    guard bytes.count <= limit else { throw .fileTooLarge(path: path, limit: limit) }
    guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else { throw .fileNotText(path: path) }
    var values: [SettingName: RawValue] = [:]
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let line = trimmed(line)
      if line.isEmpty || line.first == "#" { continue }
      let origin = Origin.file(path: path, line: index + 1)
      guard let equals = line.firstIndex(of: "=") else { throw .malformedLine(path: path, line: index + 1) }
      let key = String(trimmed(line[..<equals]))
      guard isKey(key) else { throw .malformedLine(path: path, line: index + 1) }
      guard let name = SettingName(rawValue: key), name.mayStandInFile else {
        let names = SettingName.allCases.filter(\.mayStandInFile).map(\.rawValue)
        throw .unknownKey(key, from: origin, nearest: nearest(to: key, among: names))
      }
      let value = RawValue(text: String(trimmed(line[line.index(after: equals)...])), origin: origin)
      guard values.updateValue(value, forKey: name) == nil else { throw .repeated(key, from: origin) }
    }
    return values
  }

  /// Only such text is repeated in a message: a line of another form may be a pasted secret.
  private static func isKey(_ text: String) -> Bool {
    (1...40).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
      }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    var text = text.drop(while: isBlank)
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
  }
}

/// A value before it is read as its kind.
struct RawValue: Sendable, Equatable {
  let text: String
  let origin: Origin
}
