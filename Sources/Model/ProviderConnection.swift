package import StrictJSON

/// A key and an address that several profiles share (settings spec, section 9.3), in the clear.
package struct ProviderConnection: Sendable {
  package let id: String
  package private(set) var displayName: JSONString
  package private(set) var provider: JSONString
  package private(set) var baseURL: JSONString?
  package private(set) var apiKey: JSONString?
  /// Unix seconds.
  package let createdAt: Int64
  package private(set) var updatedAt: Int64

  private static let textLimit = 128
  private static let urlLimit = 2048
  private static let members: [JSONString] = ["display_name", "provider", "api_key", "base_url"]

  /// Reads the body of a POST. A mask stands for no key and is refused (decision D1); a blank one is none.
  package init(creating body: JSONValue, id: String, now: Int64) throws(BodyError) {
    guard let object = body.object else { throw BodyError(issues: [.notObject(["body"])]) }
    var issues: [ValidationIssue] = []
    let name = Self.text(object, "display_name", limit: Self.textLimit, &issues)
    if object["display_name"] == nil { issues.append(.missing(["body", "display_name"])) }
    let provider = Self.text(object, "provider", limit: Self.textLimit, &issues)
    let key = Self.key(object, &issues)
    let url = Self.address(object, &issues)
    Self.unknownMembers(object, &issues)
    guard issues.isEmpty, let name, let key else { throw BodyError(issues: issues) }
    self.id = id
    displayName = name
    self.provider = provider ?? "custom"
    baseURL = url
    apiKey = key.isBlank ? nil : key
    createdAt = now
    updatedAt = now
  }

  /// Reads the stored form.
  package init(stored body: JSONValue, id: String) throws(SettingsError) {
    guard let object = body.object, let name = object["display_name"]?.string, let provider = object["provider"]?.string,
      let created = object["created_at"]?.number?.int64, let updated = object["updated_at"]?.number?.int64
    else { throw .invalid }
    self.id = id
    displayName = name
    self.provider = provider
    baseURL = object["base_url"]?.string
    apiKey = object["api_key"]?.string
    createdAt = created
    updatedAt = updated
  }

  /// What is sealed at rest.
  package var stored: JSONValue {
    var object = shown(hasKey: false).object ?? JSONObject()
    object["api_key"] = apiKey.map(JSONValue.string) ?? .null
    return .object(object)
  }

  /// What is shown: never the key.
  package var json: JSONValue { shown(hasKey: apiKey != nil) }

  /// As a delete answers: the key is gone.
  package var deleted: JSONValue { shown(hasKey: false) }

  private func shown(hasKey: Bool) -> JSONValue {
    [
      "id": .string(JSONString(id)), "display_name": .string(displayName), "provider": .string(provider),
      "base_url": baseURL.map(JSONValue.string) ?? .null, "created_at": .number(JSONNumber(createdAt)),
      "updated_at": .number(JSONNumber(updatedAt)), "api_key_set": .bool(hasKey),
    ]
  }

  // MARK: - Changes

  /// The body of a PATCH.
  package struct Change: Sendable {
    let displayName: JSONString?
    let provider: JSONString?
    /// nil keeps, a null inside clears.
    let baseURL: JSONString??
    /// nil keeps, as a mask does; a nil inside clears, which an empty or blank text asks for.
    let apiKey: JSONString??
    package let isEmpty: Bool
    package let clearsKey: Bool

    package init(body: JSONValue) throws(BodyError) {
      guard let object = body.object else { throw BodyError(issues: [.notObject(["body"])]) }
      var issues: [ValidationIssue] = []
      displayName = text(object, "display_name", limit: textLimit, allowsNull: true, &issues)
      provider = text(object, "provider", limit: textLimit, allowsNull: true, &issues)
      let url = address(object, &issues)
      baseURL = object["base_url"] == nil ? nil : .some(url)
      switch object["api_key"] {
      case nil, .null?: apiKey = nil
      case .string(let key)?: apiKey = key == Redaction.mask ? nil : .some(key.isBlank ? nil : key)
      case _?:
        apiKey = nil
        issues.append(.notText(["body", "api_key"]))
      }
      unknownMembers(object, &issues)
      if issues.isEmpty {
        for name in ["display_name", "provider"] as [JSONString] where object[name]?.isNull == true {
          issues = [.valueError(["body"], "\(name.text) cannot be set to null")]
          break
        }
      }
      guard issues.isEmpty else { throw BodyError(issues: issues) }
      isEmpty = !object.members.contains { members.contains($0.name) }
      clearsKey = object["api_key"]?.isNull == true
    }
  }

  package func applying(_ change: Change, now: Int64) -> ProviderConnection {
    var result = self
    if let name = change.displayName { result.displayName = name }
    if let provider = change.provider { result.provider = provider }
    if let url = change.baseURL { result.baseURL = url }
    if let key = change.apiKey { result.apiKey = key }
    result.updatedAt = now
    return result
  }

  // MARK: - Members

  private static func text(
    _ object: JSONObject, _ name: JSONString, limit: Int, allowsNull: Bool = false, _ issues: inout [ValidationIssue]
  ) -> JSONString? {
    let place: [ValidationIssue.Step] = ["body", .name(name)]
    guard let value = object[name], !(value.isNull && allowsNull) else { return nil }
    guard let text = value.string else {
      issues.append(.notText(place))
      return nil
    }
    if text.utf8.isEmpty { issues.append(.tooShort(place, minimum: 1)) }
    if text.text.unicodeScalars.count > limit { issues.append(.tooLong(place, maximum: limit)) }
    return text
  }

  private static func address(_ object: JSONObject, _ issues: inout [ValidationIssue]) -> JSONString? {
    let place: [ValidationIssue.Step] = ["body", "base_url"]
    guard let value = object["base_url"], !value.isNull else { return nil }
    guard let text = value.string else {
      issues.append(.notText(place))
      return nil
    }
    if text.text.unicodeScalars.count > urlLimit { issues.append(.tooLong(place, maximum: urlLimit)) }
    return text
  }

  private static func key(_ object: JSONObject, _ issues: inout [ValidationIssue]) -> JSONString? {
    let place: [ValidationIssue.Step] = ["body", "api_key"]
    switch object["api_key"] {
    case nil: issues.append(.missing(place))
    case .string(let key)?:
      if !key.utf8.isEmpty, key != Redaction.mask { return key }
      let context = JSONObject(uniqueMembers: [
        .init(name: "field_type", value: "Value"), .init(name: "min_length", value: 1), .init(name: "actual_length", value: 0),
      ])
      issues.append(.other("too_short", place, "Value should have at least 1 item after validation, not 0", context))
    case _?: issues.append(.notText(place))
    }
    return nil
  }

  private static func unknownMembers(_ object: JSONObject, _ issues: inout [ValidationIssue]) {
    for member in object.members where !members.contains(member.name) { issues.append(.unknownMember(["body", .name(member.name)])) }
  }
}
