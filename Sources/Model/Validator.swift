package import StrictJSON

/// What opening a text that may be a token gave.
package enum TokenOpening: Sendable {
  case notAToken
  case opened(JSONString)
  case doesNotOpen
}

/// Why settings are not accepted. Pointers name places, never values.
package enum SettingsError: Error, Sendable, Equatable {
  case invalid
  /// JSON pointers of tokens that no key opens, below the name of the diff they came in (D2).
  case tokensDoNotOpen([String])
}

/// Checks a merged document against its shape and brings it to canonical form: members in the tables' order, defaults
/// filled in, numbers and truth values converted (the lax rules of settings spec, section 4.2).
///
/// `base` is the document before the merge: a mask takes the value that stood at the same place there (D1), and a secret
/// that is equal to the one there came from there and is not taken for a token.
struct Validator {
  struct Invalid: Error {
    /// Pointers of tokens that do not open, when that is the reason.
    var unopened: [String] = []
  }

  private let base: JSONValue
  private let opening: (JSONString) -> TokenOpening
  private var path: [JSONString] = []
  private(set) var unopened: [String] = []

  init(base: JSONValue, opening: @escaping (JSONString) -> TokenOpening) {
    self.base = base
    self.opening = opening
  }

  mutating func record(_ record: Record, _ value: JSONValue) throws(Invalid) -> JSONObject {
    guard let given = value.object else { throw Invalid() }
    if record.unknown == .refused {
      guard given.members.allSatisfy({ member in record.fields.contains { $0.name == member.name } }) else { throw Invalid() }
    }
    var result = JSONObject()
    for field in record.fields { result[field.name] = try self.field(field, given[field.name]) }
    if record.unknown == .kept {
      for member in given.members where result[member.name] == nil { result[member.name] = member.value }
    }
    guard record.finish(&result) else { throw Invalid() }
    guard record.isCompact else { return result }
    return JSONObject(uniqueMembers: result.members.filter { !$0.value.isNull && $0.value != [:] })
  }

  private mutating func field(_ field: Field, _ value: JSONValue?) throws(Invalid) -> JSONValue {
    guard let value else {
      guard let initial = field.initial else { throw Invalid() }
      return initial
    }
    if value.isNull {
      guard field.isNullable else { throw Invalid() }
      return .null
    }
    return try descend(field.name) { validator throws(Invalid) in try validator.check(field.shape, value) }
  }

  private mutating func descend<T>(_ name: JSONString, _ body: (inout Validator) throws(Invalid) -> T) throws(Invalid) -> T {
    path.append(name)
    defer { path.removeLast() }
    return try body(&self)
  }

  mutating func check(_ shape: Shape, _ value: JSONValue) throws(Invalid) -> JSONValue {
    switch shape {
    case .text(let minimum):
      guard let text = value.string, text.utf8.count >= minimum else { throw Invalid() }
      return value
    case .filledText:
      guard let text = value.string, !text.isBlank else { throw Invalid() }
      return value
    case .choice(let choices):
      guard let text = value.string, choices.contains(text) else { throw Invalid() }
      return value
    case .integer(let rule): return try Lax.integer(value, rule)
    case .number(let rule): return try Lax.number(value, rule)
    case .boolean: return .bool(try Lax.boolean(value))
    case .truthiness: return .bool(Lax.truth(value))
    case .secret:
      guard let text = value.string else { throw Invalid() }
      return typedSecret(text).map(JSONValue.string) ?? .null
    case .secretMap: return try entries(value) { validator, text in validator.typedSecret(text) }
    case .headerMap:
      return try members(value) { (validator, name, value) throws(Invalid) in
        guard let text = value.string else { throw Invalid() }
        return SecretLike.matches(name) ? validator.looseSecret(text).map(JSONValue.string) : value
      }
    case .screened:
      guard value.object != nil else { throw Invalid() }
      return try screened(value, isSecret: false) ?? [:]
    case .contextSecrets: return try contextSecrets(value)
    case .object:
      guard value.object != nil else { throw Invalid() }
      return value
    case .list(let shape):
      guard let elements = value.array else { throw Invalid() }
      var result: [JSONValue] = []
      for (index, element) in elements.enumerated() {
        result.append(try descend(JSONString(String(index))) { validator throws(Invalid) in try validator.check(shape, element) })
      }
      return .array(result)
    case .map(let shape):
      return try members(value) { (validator, _, value) throws(Invalid) in try validator.check(shape, value) }
    case .record(let record): return .object(try self.record(record, value))
    case .tagged(let tag):
      guard let object = value.object else { throw Invalid() }
      let name: JSONString
      switch object[tag.member] {
      case nil:
        guard let fallback = tag.fallback else { throw Invalid() }
        name = fallback
      case .string(let text)?: name = text
      case _?: throw Invalid()
      }
      guard let variant = tag.variants.first(where: { $0.tag == name }) else { throw Invalid() }
      return .object(try self.record(variant.record, value))
    case .either(let first, let second):
      do { return try check(first, value) } catch { return try check(second, value) }
    }
  }

  private mutating func members(
    _ value: JSONValue, _ body: (inout Validator, JSONString, JSONValue) throws(Invalid) -> JSONValue?
  ) throws(Invalid) -> JSONValue {
    guard let object = value.object else { throw Invalid() }
    var kept: [JSONObject.Member] = []
    for member in object.members {
      let result = try descend(member.name) { validator throws(Invalid) in try body(&validator, member.name, member.value) }
      if let result { kept.append(.init(name: member.name, value: result)) }
    }
    return .object(JSONObject(uniqueMembers: kept))
  }

  private mutating func entries(_ value: JSONValue, _ body: (inout Validator, JSONString) -> JSONString?) throws(Invalid) -> JSONValue {
    try members(value) { (validator, _, value) throws(Invalid) in
      guard let text = value.string else { throw Invalid() }
      return body(&validator, text).map(JSONValue.string)
    }
  }

  // MARK: - Secrets

  /// Rule R: nil stands for "no value".
  private mutating func typedSecret(_ text: JSONString) -> JSONString? {
    if text == Redaction.mask { return stored?.string }
    if text.isBlank { return nil }
    return opened(text).flatMap { $0.utf8.isEmpty ? nil : $0 }
  }

  /// Rule M and the screened places: an empty text stays one.
  private mutating func looseSecret(_ text: JSONString) -> JSONString? {
    if text == Redaction.mask { return stored?.string }
    return opened(text)
  }

  private mutating func opened(_ text: JSONString) -> JSONString? {
    if stored?.string == text { return text }
    switch opening(text) {
    case .notAToken: return text
    case .opened(let plaintext): return plaintext
    case .doesNotOpen:
      unopened.append("/" + path.map(\.pointerToken).joined(separator: "/"))
      return text
    }
  }

  /// What stood at this place before the merge.
  private var stored: JSONValue? {
    path.reduce(Optional(base)) { value, name in
      switch value {
      case .object(let object)?: object[name]
      case .array(let elements)?: Int(name.text).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
      default: nil
      }
    }
  }

  /// Text below a secret-like name is secret, however deep (D15).
  private mutating func screened(_ value: JSONValue, isSecret: Bool) throws(Invalid) -> JSONValue? {
    switch value {
    case .string(let text): return isSecret ? looseSecret(text).map(JSONValue.string) : value
    case .object:
      return try members(value) { (validator, name, value) throws(Invalid) in
        try validator.screened(value, isSecret: isSecret || SecretLike.matches(name))
      }
    case .array(let elements):
      var kept: [JSONValue] = []
      for (index, element) in elements.enumerated() {
        let result = try descend(JSONString(String(index))) { validator throws(Invalid) in
          try validator.screened(element, isSecret: isSecret)
        }
        if let result { kept.append(result) }
      }
      return .array(kept)
    case .null, .bool, .number: return value
    }
  }

  private mutating func contextSecrets(_ value: JSONValue) throws(Invalid) -> JSONValue {
    try members(value) { (validator, _, value) throws(Invalid) in
      switch value {
      case .string(let text): return validator.looseSecret(text).map(JSONValue.string)
      case .object(let source): return .object(try validator.secretSource(source))
      case .null, .bool, .number, .array: throw Invalid()
      }
    }
  }

  /// StaticSecret or LookupSecret (spec section 10.4).
  private mutating func secretSource(_ source: JSONObject) throws(Invalid) -> JSONObject {
    switch source["kind"]?.string {
    case "StaticSecret"?: return try record(SecretSources.fixed, .object(source))
    case "LookupSecret"?: return try record(SecretSources.lookup, .object(source))
    case _: throw Invalid()
    }
  }
}

/// The two kinds of secret sources that may stand in `agent_context.secrets`.
enum SecretSources {
  static let fixed = Record([
    Field("kind", .choice(["StaticSecret"]), nil), Field("value", .secret, .null), Field("description", .text(), .null),
  ])
  static let lookup = Record([
    Field("kind", .choice(["LookupSecret"]), nil), Field("url", .text(minimum: 1), nil), Field("headers", .headerMap, [:]),
    Field("description", .text(), .null),
  ]) { source in
    // A secret header without a value is none.
    let headers = source["headers"]?.object?.members ?? []
    source["headers"] = .object(
      JSONObject(uniqueMembers: headers.filter { !SecretLike.matches($0.name) || !($0.value.string?.isBlank ?? true) }))
    return true
  }
}

extension JSONString {
  /// Empty or white space only, with the separators that the recorded server strips as white space too.
  var isBlank: Bool {
    String(decoding: utf8, as: UTF8.self).unicodeScalars.allSatisfy { $0.properties.isWhitespace || (0x1C...0x1F).contains($0.value) }
  }
}
