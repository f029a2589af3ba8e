internal import HTTPMessages
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// The body of a request: a JSON object whose unknown members are ignored (scoped spec, section 1.2).
struct Body {
  let object: JSONObject

  init(_ request: Request) throws(ScopedFailure) {
    if !request.body.isEmpty {
      guard let type = request[.contentType], Self.isJSON(type) else { throw ScopedFailure(code: .unsupportedMediaType) }
    }
    let value: JSONValue
    do {
      value = try request.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: .scoped) }
    } catch { throw ScopedFailure(code: error.reason == .tooLarge ? .bodyTooLarge : .invalidJSON) }
    guard let object = value.object else { throw ScopedFailure(.invalid("", "an object")) }
    self.object = object
  }

  /// `application/json`, and no other charset than UTF-8.
  private static func isJSON(_ type: [UInt8]) -> Bool {
    if type.elementsEqual("application/json".utf8) { return true }
    let parts = String(decoding: type, as: UTF8.self).lowercased().split(separator: ";").map { part in
      part.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
    }
    return parts.first == "application/json" && parts.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || $0 == "charset=utf-8" }
  }

  /// A member that repeats a part of the path must be the same.
  func agree(with path: [(JSONString, String)]) throws(ScopedFailure) {
    for (name, expected) in path {
      guard let value = object[name] else { continue }
      guard let text = value.string, text.utf8.elementsEqual(expected.utf8) else {
        throw ScopedFailure(.invalid("/" + name.text, "equal to the path", code: .pathBodyMismatch))
      }
    }
  }

  func text(_ name: JSONString) throws(ScopedFailure) -> String {
    guard let text = object[name]?.string?.text else { throw ScopedFailure(.invalid("/" + name.text, "a text")) }
    return text
  }

  // MARK: - Secrets

  /// The name of a secret; absent = nil.
  func title() throws(ScopedFailure) -> String? {
    guard let value = object["secretName"] else { return nil }
    guard let title = value.string.flatMap({ ScopedNames.title($0.text) }) else {
      throw ScopedFailure(.invalid("/secretName", ScopedNames.titleRule))
    }
    return title
  }

  /// Absent = nil; null = the default.
  func category() throws(ScopedFailure) -> String? {
    guard let value = object["category"] else { return nil }
    if value.isNull { return ScopedNames.defaultCategory }
    guard let text = value.string?.text, ScopedNames.isCategory(text) else {
      throw ScopedFailure(.invalid("/category", "a lower-case letter, then up to 31 of a-z, 0-9 and _"))
    }
    return text
  }

  /// Absent = nil; null = none.
  func tags() throws(ScopedFailure) -> [String]? {
    guard let value = object["tags"] else { return nil }
    if value.isNull { return [] }
    let texts = value.array?.map { $0.string?.text }
    guard let texts, texts.allSatisfy({ $0 != nil }), let tags = ScopedNames.tags(texts.compactMap { $0 }) else {
      throw ScopedFailure(.invalid("/tags", "up to 32 tags of 1 to 64 letters, digits, blanks and _.:/=@-"))
    }
    return tags
  }

  func plan(for secretID: String, allowsDowngrade: Bool) throws(ScopedFailure) -> SecretPlan {
    SecretPlan(
      name: try title() ?? secretID, category: try category() ?? ScopedNames.defaultCategory, tags: try tags() ?? [],
      fields: try fields(), allowsDowngrade: allowsDowngrade)
  }

  private func fields() throws(ScopedFailure) -> [(key: String, entry: SecretPlan.Entry)] {
    guard let value = object["fields"], !value.isNull else { return [] }
    guard let array = value.array else { throw ScopedFailure(.invalid("/fields", "an array")) }
    var fields: [(key: String, entry: SecretPlan.Entry)] = []
    var seen: Set<String> = []
    for (index, element) in array.enumerated() {
      let pointer = "/fields/\(index)"
      guard let object = element.object else { throw ScopedFailure(.invalid(pointer, "an object")) }
      guard let key = (object["key"] ?? object["fieldKey"])?.string?.text, ScopedNames.isFieldKey(key) else {
        throw ScopedFailure(.invalid(pointer + "/key", "a field key"))
      }
      guard seen.insert(key).inserted else { throw ScopedFailure(.invalid(pointer + "/key", "listed once", code: .duplicateField)) }
      if object["keep"]?.bool == true {
        fields.append((key, .keep))
      } else {
        fields.append((key, .content(try Self.content(object, pointer))))
      }
    }
    return fields
  }

  func content() throws(ScopedFailure) -> FieldContent { try Self.content(object, "") }

  private static func content(_ object: JSONObject, _ pointer: String) throws(ScopedFailure) -> FieldContent {
    guard let sensitivity = object["sensitivity"]?.string.flatMap({ Sensitivity(rawValue: $0.text) }) else {
      throw ScopedFailure(.invalid(pointer + "/sensitivity", "plaintext or encrypted"))
    }
    func isGiven(_ name: JSONString) -> Bool { object[name].map { !$0.isNull } ?? false }
    switch sensitivity {
    case .plaintext:
      if isGiven("envelope") { throw ScopedFailure(.invalid(pointer + "/envelope", "absent", code: .sensitivityMismatch)) }
      guard let value = object["value"]?.string, value.utf8.count <= SecretChange.maximumValueBytes else {
        throw ScopedFailure(.invalid(pointer + "/value", "a text of up to 65536 bytes"))
      }
      return .value(SecretBytes(copying: value.utf8))
    case .encrypted:
      if isGiven("value") { throw ScopedFailure(.invalid(pointer + "/value", "absent", code: .sensitivityMismatch)) }
      return .envelope(try envelope(object["envelope"] ?? .null, pointer + "/envelope"))
    }
  }

  private static func envelope(_ value: JSONValue, _ pointer: String) throws(ScopedFailure) -> EnvelopeV1 {
    do throws(EnvelopeV1.Malformed) {
      return try EnvelopeV1(value)
    } catch {
      let refusal: Refusal =
        switch error {
        case .notAnObject: .envelope(.invalidEnvelope, pointer, "an object")
        case .missing(let member): .envelope(.invalidEnvelope, "\(pointer)/\(member)", "required")
        case .wrongType(let member): .envelope(.invalidEnvelope, "\(pointer)/\(member)", "of the right type")
        case .notBase64(let member): .envelope(.invalidBase64, "\(pointer)/\(member)", "canonical padded base64")
        case .wrongLength("dataKeyCiphertext"): Refusal(.invalidDataKey)
        case .wrongLength(let member): .envelope(.invalidEnvelope, "\(pointer)/\(member)", "of the right length")
        case .unknownMember: .envelope(.invalidEnvelope, pointer, "no other members")
        }
      throw ScopedFailure(refusal)
    }
  }

  // MARK: - Data keys

  /// The field that a data key is for, when the caller may have one: access first, then the rules for names.
  func dataKeyAction(_ name: StaticString, needs capability: Capabilities, by call: Call) throws(ScopedFailure) -> ScopedAction {
    guard let kind = object["scope"]?.string.flatMap({ ScopeKind(rawValue: $0.text) }) else {
      throw ScopedFailure(.invalid("/scope", "org, team, project or agent"))
    }
    guard let id = object["scopeId"]?.string?.text, Scope.isID(id) else { throw ScopedFailure(.invalid("/scopeId", "an id")) }
    let secret = object["secretId"]?.string.map(\.text).flatMap { ScopedNames.isSecretID($0) ? $0 : nil }
    let field = object["fieldKey"]?.string.map(\.text).flatMap { ScopedNames.isFieldKey($0) ? $0 : nil }
    let action = ScopedAction(name, needs: capability, on: Scope(kind, id), secret: secret ?? "", field: field ?? "")
    try call.caller.demand(action, call.origin)
    guard secret != nil else { throw ScopedFailure(.invalid("/secretId", "a secret id")) }
    guard field != nil else { throw ScopedFailure(.invalid("/fieldKey", "a field key")) }
    return action
  }
}
