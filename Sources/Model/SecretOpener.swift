package import StrictJSON

/// A secret of a body that leaves for another server: where it stands, and its text.
package struct OpenedSecret: Sendable {
  /// A JSON pointer.
  package let pointer: String
  package let text: JSONString
}

/// Opens the tokens at the secret places of a body and leaves everything else as it was sent (settings spec, sections 2.3,
/// 2.5 and 10.3). Unlike `Validator` it fills nothing in: the server behind may know members that this one does not.
struct SecretOpener {
  private let opening: (JSONString) -> TokenOpening
  private var path: [JSONString] = []
  /// Pointers of tokens that no key opens.
  private(set) var unopened: [String] = []
  private(set) var opened: [OpenedSecret] = []

  init(_ opening: @escaping (JSONString) -> TokenOpening) { self.opening = opening }

  /// Every secret of `object` with its place; nothing is opened.
  static func secrets(of object: JSONObject, as record: Record) -> [OpenedSecret] {
    var opener = SecretOpener { .opened($0) }
    _ = opener.object(object, as: record)
    return opener.opened
  }

  mutating func object(_ object: JSONObject, as record: Record) -> JSONObject {
    var result = object
    for field in record.fields {
      guard let value = object[field.name], !value.isNull else { continue }
      result[field.name] = descend(field.name) { $0.value(value, as: field.shape) } ?? .null
    }
    return result
  }

  private mutating func descend<T>(_ name: JSONString, _ body: (inout SecretOpener) -> T) -> T {
    path.append(name)
    defer { path.removeLast() }
    return body(&self)
  }

  /// nil: the place has no value.
  private mutating func value(_ value: JSONValue, as shape: Shape) -> JSONValue? {
    switch (shape, value) {
    case (.secret, .string(let text)): return typed(text).map(JSONValue.string)
    case (.secretMap, .object(let object)): return members(object) { $0.value($1.value, as: .secret) }
    case (.headerMap, .object(let object)):
      return members(object) { SecretLike.matches($1.name) ? $0.loose($1.value) : $1.value }
    case (.screened, _): return screened(value, isSecret: false)
    case (.contextSecrets, .object(let object)): return members(object) { $0.source($1.value) }
    case (.list(let shape), .array(let elements)):
      return .array(
        elements.enumerated().map { index, element in
          descend(JSONString(String(index))) { $0.value(element, as: shape) } ?? .null
        })
    case (.map(let shape), .object(let object)): return members(object) { $0.value($1.value, as: shape) }
    case (.record(let record), .object(let object)): return .object(self.object(object, as: record))
    case (.tagged(let tag), .object(let object)):
      let name = object[tag.member]?.string ?? tag.fallback
      guard let variant = tag.variants.first(where: { $0.tag == name }) else { return value }
      return .object(self.object(object, as: variant.record))
    case (.text, _), (.filledText, _), (.choice, _), (.integer, _), (.number, _), (.boolean, _), (.truthiness, _), (.secret, _),
      (.secretMap, _), (.headerMap, _), (.contextSecrets, _), (.object, _), (.list, _), (.map, _), (.record, _), (.tagged, _), (.either, _):
      return value
    }
  }

  /// Entries that come to nothing are left out.
  private mutating func members(_ object: JSONObject, _ body: (inout SecretOpener, JSONObject.Member) -> JSONValue?) -> JSONValue {
    var kept: [JSONObject.Member] = []
    for member in object.members {
      if let value = descend(member.name, { body(&$0, member) }) { kept.append(.init(name: member.name, value: value)) }
    }
    return .object(JSONObject(uniqueMembers: kept))
  }

  /// Rule R.
  private mutating func typed(_ text: JSONString) -> JSONString? {
    if text == Redaction.mask || text.isBlank { return nil }
    return opened(text)
  }

  /// Rule M and the screened places: an empty text stays one; a mask stands for nothing that is known here.
  private mutating func loose(_ value: JSONValue) -> JSONValue? {
    guard let text = value.string, !text.utf8.isEmpty else { return value }
    return text == Redaction.mask ? nil : .string(opened(text))
  }

  private mutating func source(_ value: JSONValue) -> JSONValue? {
    guard let source = value.object else { return loose(value) }
    return .object(object(source, as: source["kind"] == "LookupSecret" ? SecretSources.lookup : SecretSources.fixed))
  }

  private mutating func screened(_ value: JSONValue, isSecret: Bool) -> JSONValue? {
    switch value {
    case .object(let object): return members(object) { $0.screened($1.value, isSecret: isSecret || SecretLike.matches($1.name)) }
    case .array(let elements):
      return .array(
        elements.enumerated().compactMap { index, element in
          descend(JSONString(String(index))) { $0.screened(element, isSecret: isSecret) }
        })
    case .string where isSecret: return loose(value)
    case .string, .null, .bool, .number: return value
    }
  }

  private mutating func opened(_ text: JSONString) -> JSONString {
    let pointer = "/" + path.map(\.pointerToken).joined(separator: "/")
    switch opening(text) {
    case .notAToken: return text
    case .doesNotOpen:
      unopened.append(pointer)
      return text
    case .opened(let plaintext):
      opened.append(OpenedSecret(pointer: pointer, text: plaintext))
      return plaintext
    }
  }
}
