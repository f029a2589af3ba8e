package import SecretMemory
internal import StrictJSON

/// What Coffer tells at start about a configuration that works, but perhaps not as meant.
package enum ConfigurationWarning: Sendable, Equatable {
  /// The variable is set to nothing; an empty text is no key.
  case emptyKey(variable: String)
  case shortKey(variable: String, bytes: Int, recommended: Int)
  /// A numbered variable behind a gap.
  case ignored(variable: String)
  /// No OH_SECRET_KEY: the session key seals tokens too.
  case sessionKeySealsTokens(variable: String)
  /// Anyone who reaches the listener has every right.
  case open
  /// The root key in use is this file, and root-key-file or root-key-command gives the one before it.
  case rootKeyNotMoved(path: String)

  package var message: String {
    switch self {
    case .emptyKey(let name): "\(name) is set but empty, and an empty text is no key; remove it or give it a value"
    case .shortKey(let name, let bytes, let recommended): "\(name) has \(bytes) bytes; use at least \(recommended) random ones"
    case .ignored(let name): "\(name) is ignored: the numbers before it have a gap; number from 0 without gaps"
    case .sessionKeySealsTokens(let name):
      "OH_SECRET_KEY is not set, so \(name) also seals encrypted values; set OH_SECRET_KEY before that session key is changed"
    case .open: "insecure-open is on: whoever reaches the listener has every right where no key is configured"
    case .rootKeyNotMoved(let path):
      "the root key in use is \(path), not the one that root-key-file or root-key-command gives: put it there, then remove that file"
    }
  }
}

/// Where the key of the wire's encrypted values comes from.
package enum WireKeySource: Sendable, Equatable {
  /// From the environment, under this variable's name.
  case given(SecretBytes, variable: String)
  /// The file made at `init`.
  case file(Setting<String>)

  /// The environment's key, when it gives one.
  package var given: (key: SecretBytes, variable: String)? {
    if case .given(let key, let variable) = self { (key, variable) } else { nil }
  }
}

/// The keys of the environment (spec of the settings dialect, section 1.2).
struct KeyVariables {
  var sessionKeys: [SecretBytes] = []
  var secretKey: (key: SecretBytes, variable: String)?
  var retired: [SecretBytes] = []
  var warnings: [ConfigurationWarning] = []

  /// Bytes of a key below which Coffer warns: 16 random bytes as hexadecimal or base 64 text are not below it.
  static let recommendedBytes = 22

  init(_ environment: Environment) throws(ConfigurationError) {
    let secrets = environment.secrets
    let numbered = list("OH_SESSION_API_KEYS_", in: secrets)
    let listed = try jsonList(secrets["OH_SESSION_API_KEYS"])
    sessionKeys = numbered.map(\.value) + listed
    let single = secrets["SESSION_API_KEY"].flatMap { checked($0, "SESSION_API_KEY") }
    if sessionKeys.isEmpty, let single { sessionKeys = [single] }
    retired = list("OH_SECRET_KEYS_RETIRED_", in: secrets).map(\.value)
    if let key = secrets["OH_SECRET_KEY"].flatMap({ checked($0, "OH_SECRET_KEY") }) {
      secretKey = (key, "OH_SECRET_KEY")
      return
    }
    // Never a key of the JSON list: upstream does not read it there either.
    let fallback =
      single.map { ($0, "SESSION_API_KEY") } ?? numbered.first { $0.name == "OH_SESSION_API_KEYS_0" }.map { ($0.value, $0.name) }
    if let fallback {
      secretKey = fallback
      warnings.append(.sessionKeySealsTokens(variable: fallback.1))
    }
  }

  /// nil for an empty text; a short key is a key.
  private mutating func checked(_ key: SecretBytes, _ name: String) -> SecretBytes? {
    if key.isEmpty {
      warnings.append(.emptyKey(variable: name))
      return nil
    }
    if key.count < Self.recommendedBytes {
      warnings.append(.shortKey(variable: name, bytes: key.count, recommended: Self.recommendedBytes))
    }
    return key
  }

  private mutating func list(_ prefix: String, in secrets: [String: SecretBytes]) -> [(name: String, value: SecretBytes)] {
    let (values, ignored) = Environment.numbered(prefix, in: secrets)
    warnings += ignored.map { .ignored(variable: $0) }
    return values.compactMap { entry in checked(entry.value, entry.name).map { (entry.name, $0) } }
  }

  private mutating func jsonList(_ text: SecretBytes?) throws(ConfigurationError) -> [SecretBytes] {
    let name = "OH_SESSION_API_KEYS"
    guard let text else { return [] }
    guard !text.isEmpty else {
      warnings.append(.emptyKey(variable: name))
      return []
    }
    let wrong = ConfigurationError.invalidValue(name, from: .environment(name), expected: "a JSON list of strings")
    let limits = JSONLimits(bytes: 65536, depth: 2, members: 1000)
    guard let list = try? text.withBytes({ bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) }).array else {
      throw wrong
    }
    var keys: [SecretBytes] = []
    for element in list {
      guard let key = element.string else { throw wrong }
      if let key = checked(SecretBytes(copying: key.utf8), name) { keys.append(key) }
    }
    return keys
  }
}
