internal import StrictJSON

/// JSON Schema (2020-12) of a shape. What validation accepts and what is printed are two forms of the same table.
struct SchemaWriter {
  enum Form {
    /// As it is printed: every member, canonical types.
    case answer
    /// As it may be sent: required members only, and what the lax rules convert.
    case whole
    /// As a merge patch may bring it: nothing is required, null resets or removes.
    case sparse
  }

  let form: Form
  /// Members whose records, or whose entries, have a name of their own in the description.
  var references: [JSONString: JSONString] = [:]

  func record(_ record: Record) -> JSONValue {
    var properties = JSONObject()
    var required: [JSONValue] = []
    for field in record.fields {
      properties[field.name] = member(field)
      if form == .answer ? !record.isCompact : form == .whole && field.initial == nil { required.append(.string(field.name)) }
    }
    var schema = JSONObject(uniqueMembers: [
      .init(name: "type", value: "object"), .init(name: "properties", value: .object(properties)),
    ])
    if !required.isEmpty { schema["required"] = .array(required) }
    if record.unknown == .refused || (form == .answer && record.unknown == .dropped) { schema["additionalProperties"] = false }
    return .object(schema)
  }

  private func member(_ field: Field) -> JSONValue {
    let schema = references[field.name].map { reference($0, field.shape) } ?? shape(field.shape)
    switch form {
    case .answer, .whole: return field.isNullable ? Self.orNull(schema) : schema
    case .sparse: return field.initial == nil ? schema : Self.orNull(schema)
    }
  }

  private func reference(_ name: JSONString, _ shape: Shape) -> JSONValue {
    let reference: JSONValue = ["$ref": .string(JSONString("#/components/schemas/\(name.text)"))]
    return if case .map = shape { map(reference) } else { reference }
  }

  func shape(_ shape: Shape) -> JSONValue {
    switch shape {
    case .text(let minimum): minimum == 0 ? ["type": "string"] : ["type": "string", "minLength": .number(JSONNumber(minimum))]
    case .filledText: ["type": "string", "pattern": "\\S"]
    case .choice(let choices): ["type": "string", "enum": .array(choices.map(JSONValue.string))]
    case .integer(let rule): lax(Self.number("integer", rule), #"^\s*[+-]?[0-9_]+(\.0+)?\s*$"#)
    case .number(let rule): lax(Self.number("number", rule), #"^\s*[+-]?[0-9_]*\.?[0-9_]*([eE][+-]?[0-9_]+)?\s*$"#)
    case .boolean: form == .answer ? ["type": "boolean"] : Self.truthValue
    case .truthiness: form == .answer ? ["type": "boolean"] : [:]
    case .secret: ["type": "string"]
    case .secretMap, .headerMap: map(["type": "string"])
    case .screened, .object: ["type": "object"]
    case .contextSecrets: map(["type": ["string", "object"]])
    case .list(let shape): ["type": "array", "items": SchemaWriter(form: form == .sparse ? .whole : form).shape(shape)]
    case .map(let shape): map(self.shape(shape))
    case .record(let record): self.record(record)
    case .tagged(let tag): ["anyOf": .array(tag.variants.map { record($0.record) })]
    case .either(let first, let second): ["anyOf": [self.shape(first), self.shape(second)]]
    }
  }

  private func map(_ values: JSONValue) -> JSONValue {
    ["type": "object", "additionalProperties": form == .sparse ? Self.orNull(values) : values]
  }

  private func lax(_ schema: JSONValue, _ pattern: JSONString) -> JSONValue {
    form == .answer ? schema : ["anyOf": [schema, ["type": "boolean"], ["type": "string", "pattern": .string(pattern)]]]
  }

  private static let truthValue: JSONValue = [
    "anyOf": [
      ["type": "boolean"], ["enum": [0, 1]],
      [
        "type": "string", "pattern": "^([Tt]([Rr][Uu][Ee])?|[Ff]([Aa][Ll][Ss][Ee])?|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]|[01])$",
      ],
    ]
  ]

  private static func number(_ type: JSONString, _ rule: IntegerRule) -> JSONValue {
    switch rule {
    case .any: ["type": .string(type)]
    case .atLeast(let least): ["type": .string(type), "minimum": .number(JSONNumber(least))]
    case .above(let limit): ["type": .string(type), "exclusiveMinimum": .number(JSONNumber(limit))]
    }
  }

  private static func number(_ type: JSONString, _ rule: NumberRule) -> JSONValue {
    func decimal(_ number: Double) -> JSONValue { .number(JSONNumber(validated: Array("\(number)".utf8))) }
    return switch rule {
    case .any: ["type": .string(type)]
    case .atLeast(let least): ["type": .string(type), "minimum": decimal(least)]
    case .above(let limit): ["type": .string(type), "exclusiveMinimum": decimal(limit)]
    case .between(let least, let most): ["type": .string(type), "minimum": decimal(least), "maximum": decimal(most)]
    case .inside(let lower, let upper): ["type": .string(type), "exclusiveMinimum": decimal(lower), "exclusiveMaximum": decimal(upper)]
    }
  }

  private static func orNull(_ schema: JSONValue) -> JSONValue { ["anyOf": [schema, ["type": "null"]]] }
}
