package import StrictJSON

/// One entry of the list form of 422 (settings spec, section 1.4), without `input`: no entry repeats what was sent (D5).
package struct ValidationIssue: Sendable, Equatable {
  package enum Step: Sendable, Equatable, ExpressibleByStringLiteral {
    case name(JSONString)
    case index(Int)
    package init(stringLiteral text: StaticString) { self = .name(JSONString(stringLiteral: text)) }
  }

  package let type: StaticString
  package let location: [Step]
  package let message: String
  package let context: JSONObject?

  private init(_ type: StaticString, _ location: [Step], _ message: String, _ context: JSONObject? = nil) {
    self.type = type
    self.location = location
    self.message = message
    self.context = context
  }

  package static func == (left: ValidationIssue, right: ValidationIssue) -> Bool { left.json == right.json }

  package var json: JSONValue {
    var object = JSONObject()
    object["type"] = .string(JSONString(stringLiteral: type))
    object["loc"] = .array(
      location.map {
        switch $0 {
        case .name(let name): .string(name)
        case .index(let index): .number(JSONNumber(index))
        }
      })
    object["msg"] = .string(JSONString(message))
    if let context { object["ctx"] = .object(context) }
    return .object(object)
  }

  /// The same without its numbers, as some routes of the recorded server tell it.
  package var withoutContext: ValidationIssue { Self(type, location, message) }

  package static func missing(_ location: [Step]) -> Self { Self("missing", location, "Field required") }
  /// Any other, by the name and the text that clients of the recorded server know.
  package static func other(_ type: StaticString, _ location: [Step], _ message: String, _ context: JSONObject? = nil) -> Self {
    Self(type, location, message, context)
  }

  package static func unknownMember(_ location: [Step]) -> Self { Self("extra_forbidden", location, "Extra inputs are not permitted") }

  /// A rule that concerns several members at once.
  package static func valueError(_ location: [Step], _ text: String) -> Self {
    Self("value_error", location, "Value error, " + text, context("error", .string(JSONString(text))))
  }

  package static func tooShort(_ location: [Step], minimum: Int) -> Self {
    Self(
      "string_too_short", location, "String should have at least \(minimum) character\(minimum == 1 ? "" : "s")",
      context("min_length", .number(JSONNumber(minimum))))
  }

  package static func tooLong(_ location: [Step], maximum: Int) -> Self {
    Self(
      "string_too_long", location, "String should have at most \(maximum) characters", context("max_length", .number(JSONNumber(maximum))))
  }

  static func notBoolean(_ value: JSONValue, _ location: [Step]) -> Self {
    value.string == nil && (value.number.map { (try? Lax.integer(.number($0), .any)) == nil } ?? true)
      ? Self("bool_type", location, "Input should be a valid boolean")
      : Self("bool_parsing", location, "Input should be a valid boolean, unable to interpret input")
  }

  package static func notList(_ location: [Step]) -> Self { Self("list_type", location, "Input should be a valid list") }

  static func context(_ name: JSONString, _ value: JSONValue) -> JSONObject { JSONObject(uniqueMembers: [.init(name: name, value: value)]) }

  package static func notText(_ location: [Step]) -> Self { Self("string_type", location, "Input should be a valid string") }
  package static func notDictionary(_ location: [Step]) -> Self { Self("dict_type", location, "Input should be a valid dictionary") }

  package static func notObject(_ location: [Step]) -> Self {
    Self("model_attributes_type", location, "Input should be a valid dictionary or object to extract fields from")
  }

  package static func malformedJSON(at offset: Int, _ reason: String) -> Self {
    Self(
      "json_invalid", ["body", .index(offset)], "JSON decode error",
      JSONObject(uniqueMembers: [.init(name: "error", value: .string(JSONString(reason)))]))
  }

  package static func patternMismatch(_ location: [Step], pattern: String) -> Self {
    Self(
      "string_pattern_mismatch", location, "String should match pattern '\(pattern)'",
      JSONObject(uniqueMembers: [.init(name: "pattern", value: .string(JSONString(pattern)))]))
  }
}

/// Why a body is not what it should be: every fault at once, in the order of the fields.
package struct BodyError: Error, Sendable, Equatable {
  package let issues: [ValidationIssue]
}
