internal import Model
internal import StrictJSON

/// The bodies of the settings dialect as JSON Schema: those of the tables of validation and those below.
enum Schemas {
  static let secretName: JSONString = "^[A-Za-z][A-Za-z0-9_]{0,63}$"

  static let all: JSONObject = {
    var all = JSONObject()
    for (name, schema) in TableSchemas.all { all[name] = schema }
    for (name, schema) in settings { all[name] = schema }
    for (name, schema) in named { all[name] = schema }
    for (name, schema) in conversations { all[name] = schema }
    for (name, schema) in failures { all[name] = schema }
    return all
  }()

  static func reference(_ name: JSONString) -> JSONValue { ["$ref": .string(JSONString("#/components/schemas/\(name.text)"))] }

  // MARK: - Builders

  static let string: JSONValue = ["type": "string"]
  static let boolean: JSONValue = ["type": "boolean"]
  static let seconds: JSONValue = ["type": "integer", "minimum": 0]
  static let duration: JSONValue = ["type": "number", "minimum": 0]
  static let strings: JSONValue = list(string)

  static func orNull(_ schema: JSONValue) -> JSONValue { ["anyOf": [schema, ["type": "null"]]] }
  static func list(_ items: JSONValue) -> JSONValue { ["type": "array", "items": items] }

  static func text(_ minimum: Int, _ maximum: Int) -> JSONValue {
    ["type": "string", "minLength": .number(JSONNumber(minimum)), "maxLength": .number(JSONNumber(maximum))]
  }

  static func constant(_ value: JSONValue) -> JSONValue { ["const": value] }

  /// What an answer holds: every member, and no others.
  static func answer(_ properties: KeyValuePairs<JSONString, JSONValue>, optional: [JSONString] = []) -> JSONValue {
    let required = properties.map(\.key).filter { !optional.contains($0) }
    return object(properties, required: required, isOpen: false)
  }

  static func object(_ properties: KeyValuePairs<JSONString, JSONValue>, required: [JSONString] = [], isOpen: Bool = true) -> JSONValue {
    var schema = JSONObject()
    schema["type"] = "object"
    schema["properties"] = .object(JSONObject(uniqueMembers: properties.map { .init(name: $0.key, value: $0.value) }))
    if !required.isEmpty { schema["required"] = .array(required.map(JSONValue.string)) }
    if !isOpen { schema["additionalProperties"] = false }
    return .object(schema)
  }

  static func described(_ text: JSONString, _ schema: JSONValue) -> JSONValue {
    guard var object = schema.object else { return schema }
    object["description"] = .string(text)
    return .object(object)
  }

  // MARK: - Refusals and failures

  private static let failures: KeyValuePairs<JSONString, JSONValue> = [
    "Refusal": described("Why a request was refused, for people. What nginx refuses carries more members.", refusal),
    "Unprocessable": [
      "anyOf": [
        refusal, object(["detail": list(issue)], required: ["detail"]),
        object(["detail": string, "pointers": strings], required: ["detail", "pointers"]),
        object(["detail": unlaunchable], required: ["detail"]),
      ],
      "description":
        "A text; or every fault with its place; or the places of encrypted values that this server cannot open; or the MCP servers that an agent profile names and nobody has configured.",
    ],
    "ServerFailure": described(
      "What failed, in `exception`.", object(["detail": string, "exception": string], required: ["detail"])),
  ]

  private static let refusal: JSONValue = object(["detail": string], required: ["detail"])
  private static let unlaunchable: JSONValue = answer(["message": string, "dangling_mcp_server_refs": strings])

  /// No entry repeats what was sent.
  private static let issue: JSONValue = answer(
    ["type": string, "loc": list(["type": ["string", "integer"]]), "msg": string, "ctx": ["type": "object"]], optional: ["ctx"])
}
