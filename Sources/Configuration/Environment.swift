internal import SecretMemory

/// The variables that concern Coffer, split into plain ones and secrets.
struct Environment: Sendable {
  private(set) var plain: [String: String] = [:]
  private(set) var secrets: [String: SecretBytes] = [:]
  /// Plain variables whose bytes are no UTF-8.
  private var unreadable: Set<String> = []

  /// - Parameter entries: `NAME=value` as bytes. Of a repeated name the first counts, as with getenv.
  init(entries: [[UInt8]]) {
    for entry in entries {
      guard let equals = entry.firstIndex(of: UInt8(ascii: "=")),
        let name = String(validating: entry[..<equals], as: UTF8.self), Self.concernsUs(name)
      else { continue }
      let value = entry[(equals + 1)...]
      if Self.isSecret(name) {
        if secrets[name] == nil { secrets[name] = SecretBytes(copying: unsafe value.span.bytes) }
      } else if plain[name] == nil, !unreadable.contains(name) {
        if let text = String(validating: value, as: UTF8.self) { plain[name] = text } else { unreadable.insert(name) }
      }
    }
  }

  private static func concernsUs(_ name: String) -> Bool {
    name.hasPrefix("COFFER_") || name.hasPrefix("OH_") || ["SESSION_API_KEY", "DOCKER_HOST_ADDR", "CREDENTIALS_DIRECTORY"].contains(name)
  }

  /// True for every variable whose value is a key, also where we do not use it.
  static func isSecret(_ name: String) -> Bool {
    if ["OH_SECRET_KEY", "OH_SESSION_API_KEYS", "SESSION_API_KEY", "COFFER_AGENT_KEY"].contains(name) { return true }
    return ["OH_SECRET_KEYS_RETIRED_", "OH_SESSION_API_KEYS_"].contains { number(of: name, after: $0) != nil }
  }

  /// 7 for `PREFIX_7`; nil when the rest is no plain decimal number.
  private static func number(of name: String, after prefix: String) -> Int? {
    guard name.hasPrefix(prefix) else { return nil }
    let digits = name.dropFirst(prefix.count)
    guard (1...6).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    guard digits == "0" || digits.first != "0" else { return nil }
    return Int(digits)
  }

  /// The values of `PREFIX_0`, `PREFIX_1`, … up to the first gap, and the names behind the gap.
  static func numbered<Value>(_ prefix: String, in table: [String: Value]) -> (values: [(name: String, value: Value)], ignored: [String]) {
    var values: [(String, Value)] = []
    while let value = table["\(prefix)\(values.count)"] { values.append(("\(prefix)\(values.count)", value)) }
    let numbers = table.keys.compactMap { number(of: $0, after: prefix) }.filter { $0 > values.count }
    return (values, numbers.sorted().map { "\(prefix)\($0)" })
  }

  /// The name of a variable that is none of ours, in a form fit for a message.
  private static func shown(_ name: String) -> String {
    let isName = name.utf8.count <= 64 && name.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
    return isName ? name : "COFFER_…"
  }

  /// The settings named by `COFFER_…` and by the agent server's names.
  func settings() throws(ConfigurationError) -> [SettingName: RawValue] {
    for name in unreadable.union(plain.keys).sorted() where name.hasPrefix("COFFER_") {
      if SettingName.variables[name] == nil, !SettingName.otherVariables.contains(name) {
        throw .unknownKey(
          Self.shown(name), from: .environment(Self.shown(name)), nearest: nearest(to: name, among: SettingName.variables.keys))
      }
      if unreadable.contains(name) { throw .invalidValue(name, from: .environment(name), expected: "UTF-8 text") }
    }
    var values: [SettingName: RawValue] = [:]
    for setting in SettingName.allCases {
      if let text = plain[setting.variable] {
        values[setting] = RawValue(text: text, origin: .environment(setting.variable))
      } else if let name = setting.agentServerVariable, let text = plain[name], !text.isEmpty {
        values[setting] = RawValue(text: text, origin: .environment(name))
      }
    }
    if values[.corsOrigins] == nil {
      let list = Self.numbered("OH_ALLOW_CORS_ORIGINS_", in: plain).values.filter { !$0.value.isEmpty }
      if let first = list.first {
        values[.corsOrigins] = RawValue(text: list.map(\.value).joined(separator: " "), origin: .environment(first.name))
      }
    }
    return values
  }
}
