/// Reads raw values as their kinds.
struct ValueReader {
  let values: [SettingName: RawValue]

  /// The value as `convert` reads it, or the default.
  func read<Value: Sendable>(_ name: SettingName, expected: String, default standard: Value, _ convert: (String) -> Value?)
    throws(ConfigurationError) -> Setting<Value>
  {
    try readOptional(name, expected: expected, convert) ?? Setting(standard, from: .standard)
  }

  func readOptional<Value: Sendable>(_ name: SettingName, expected: String, _ convert: (String) -> Value?) throws(ConfigurationError)
    -> Setting<Value>?
  {
    guard let raw = values[name] else { return nil }
    let shown: String
    switch raw.origin {
    case .flag(let text), .environment(let text): shown = text
    case .file, .standard: shown = name.rawValue
    }
    if raw.text.isEmpty { throw .emptyValue(shown, from: raw.origin) }
    guard let value = convert(raw.text) else { throw .invalidValue(shown, from: raw.origin, expected: expected) }
    return Setting(value, from: raw.origin)
  }

  func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(_ name: SettingName, default standard: Value)
    throws(ConfigurationError) -> Setting<Value>
  {
    try read(name, expected: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "), default: standard) { Value(rawValue: $0) }
  }

  func flag(_ name: SettingName) throws(ConfigurationError) -> Setting<Bool> {
    try read(name, expected: "true or false", default: false) { ["true": true, "false": false][$0] }
  }

  /// A path without NUL and control characters; a relative one starts at `base`.
  static func path(_ text: String, base: String) -> String? {
    guard text.utf8.count <= 4096, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
    if text.hasPrefix("/") || base.isEmpty { return text }
    return base.hasSuffix("/") ? base + text : base + "/" + text
  }

  /// Elements between blanks or commas; nil when one does not convert or none is there.
  static func list<Element>(_ text: String, _ convert: (Substring) -> Element?) -> [Element]? {
    let parts = text.split { $0 == " " || $0 == "," || $0 == "\t" }
    let elements = parts.compactMap(convert)
    return elements.count == parts.count && !elements.isEmpty ? elements : nil
  }

  /// `scheme://host[:port]` and nothing behind it.
  static func origin(_ text: Substring) -> String? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].hasSuffix(":"), parts[0].utf8.count > 1, parts[1].isEmpty, !parts[2].isEmpty,
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    return String(text)
  }

  /// What a credential may go to: TLS, or this machine.
  static func ownOrSafeURL(_ text: String) -> String? {
    guard let url = webURL(text) else { return nil }
    if url.hasPrefix("https://") { return url }
    let host = url.dropFirst("http://".count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
    // A user name ends with an @, and what is before it is no host.
    return ["localhost", "127.0.0.1", "[::1]"].contains(String(name)) && !host.contains("@") ? url : nil
  }

  /// An http or https URL in visible ASCII.
  static func webURL(_ text: String) -> String? {
    guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) && text.utf8.count > scheme.utf8.count { return text }
    return nil
  }
}
