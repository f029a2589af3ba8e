internal import StrictJSON

/// One field of a settings form.
struct FormField: Sendable {
  enum Kind: String, Sendable { case string, integer, number, boolean, array, object }
  enum Prominence: String, Sendable { case critical, major, minor }

  let name: StaticString
  let label: StaticString
  let kind: Kind
  let initial: JSONValue
  let prominence: Prominence
  let dependsOn: [JSONString]
  let isSecret: Bool
  let choices: [JSONString]
  let description: StaticString

  init(
    _ name: StaticString, _ label: StaticString, _ kind: Kind, _ initial: JSONValue, _ prominence: Prominence = .minor,
    dependsOn: [JSONString] = [], isSecret: Bool = false, choices: [JSONString] = [], description: StaticString
  ) {
    self.name = name
    self.label = label
    self.kind = kind
    self.initial = initial
    self.prominence = prominence
    self.dependsOn = dependsOn
    self.isSecret = isSecret
    self.choices = choices
    self.description = description
  }

  /// - Parameter prefix: the section's name and a point, for members of a nested object.
  func json(section: FormSection) -> JSONValue {
    [
      "key": .string(JSONString("\(section.prefix)\(name)")), "label": .string(JSONString(stringLiteral: label)),
      "description": .string(JSONString(stringLiteral: description)), "section": .string(JSONString(stringLiteral: section.key)),
      "section_label": .string(JSONString(stringLiteral: section.label)), "value_type": .string(JSONString(kind.rawValue)),
      "default": initial, "prominence": .string(JSONString(prominence.rawValue)), "depends_on": .array(dependsOn.map(JSONValue.string)),
      "secret": .bool(isSecret), "choices": .array(choices.map { ["value": .string($0), "label": .string($0)] }),
      "variant": section.fieldVariant.map { .string(JSONString(stringLiteral: $0)) } ?? .null,
    ]
  }
}

/// One section of a settings form.
struct FormSection: Sendable {
  let key: StaticString
  let label: StaticString
  /// The agent kind the section is for; nil for both.
  let variant: StaticString?
  /// The agent kind its fields are for.
  let fieldVariant: StaticString?
  let prefix: StaticString
  let fields: [FormField]

  var json: JSONValue {
    [
      "key": .string(JSONString(stringLiteral: key)), "label": .string(JSONString(stringLiteral: label)),
      "fields": .array(fields.map { $0.json(section: self) }),
      "variant": variant.map { .string(JSONString(stringLiteral: $0)) } ?? .null,
    ]
  }
}

/// The two form schemas as they are served.
package enum FormSchema {
  package static let agent: [UInt8] = serialized(
    "AgentSettings",
    [
      FormSection(
        key: "general", label: "General", variant: nil, fieldVariant: "openhands", prefix: "", fields: FormTables.general),
      FormSection(key: "llm", label: "LLM", variant: "openhands", fieldVariant: "openhands", prefix: "llm.", fields: FormTables.llm),
      FormSection(
        key: "agent_context", label: "Memory", variant: "openhands", fieldVariant: "openhands", prefix: "agent_context.",
        fields: FormTables.context),
      FormSection(
        key: "condenser", label: "Condenser", variant: "openhands", fieldVariant: "openhands", prefix: "condenser.",
        fields: FormTables.condenser),
      FormSection(
        key: "verification", label: "Verification", variant: "openhands", fieldVariant: "openhands", prefix: "verification.",
        fields: FormTables.verification),
      FormSection(
        key: "acp", label: "ACP (Agent Client Protocol)", variant: "acp", fieldVariant: "acp", prefix: "", fields: FormTables.acp),
      FormSection(key: "llm", label: "LLM (for metrics)", variant: "acp", fieldVariant: "acp", prefix: "llm.", fields: FormTables.llm),
    ])

  package static let conversation: [UInt8] = serialized(
    "ConversationSettings",
    [
      FormSection(key: "general", label: "General", variant: nil, fieldVariant: nil, prefix: "", fields: FormTables.conversation),
      FormSection(
        key: "verification", label: "Verification", variant: nil, fieldVariant: nil, prefix: "", fields: FormTables.confirmation),
    ])

  private static func serialized(_ model: JSONString, _ sections: [FormSection]) -> [UInt8] {
    let schema: JSONValue = ["model_name": .string(model), "sections": .array(sections.map(\.json))]
    return schema.serialized()
  }
}

extension JSONValue {
  /// A number with a fraction, kept as it is written.
  static func decimal(_ text: StaticString) -> JSONValue { .number(JSONNumber(validated: Array("\(text)".utf8))) }
}
