package import StrictJSON

/// The schemas that the tables of validation give, by the names under which an API description has them.
package enum TableSchemas {
  package static let all: KeyValuePairs<JSONString, JSONValue> = [
    "AgentSettings": described(
      "Settings of an agent; `agent_kind` tells the two forms apart.",
      ["anyOf": [settings("openhands", .answer), settings("acp", .answer)]]),
    "AgentSettingsDiff": described(
      """
      A merge patch: objects merge, lists are replaced, null resets. Members of the other agent kind are ignored; naming another kind starts \
      over. Members of an older `schema_version` migrate first.
      """, ["anyOf": [settings("openhands", .sparse), settings("acp", .sparse), older]]),
    "ConversationSettings": SchemaWriter(form: .answer).record(ConversationTables.record),
    "ConversationSettingsDiff": described(
      "A merge patch; a null at the top is a value.", SchemaWriter(form: .sparse).record(ConversationTables.record)),
    "LanguageModel": described(
      "How a language model is reached. Members that hold secrets are null, masked, sealed or in the clear as the mode of the request says.",
      SchemaWriter(form: .answer).record(AgentTables.llm)),
    "LanguageModelInput": described(
      "Ten stars in the place of a secret keep the stored one.", SchemaWriter(form: .whole).record(AgentTables.llm)),
    "MCPServer": described(
      "`stdio` needs a command, the other transports an address. `auth` and a header named Authorization exclude each other.",
      SchemaWriter(form: .whole).record(MCPTables.server)),
    "LanguageModelPatch": SchemaWriter(form: .sparse).record(AgentTables.llm),
    "AgentContext": SchemaWriter(form: .answer).record(AgentTables.context("")),
    "AgentContextPatch": SchemaWriter(form: .sparse).record(AgentTables.context("")),
    "Condenser": SchemaWriter(form: .answer).shape(AgentTables.condenser),
    "CondenserPatch": SchemaWriter(form: .sparse).shape(AgentTables.condenser),
    "Verification": SchemaWriter(form: .answer).record(AgentTables.verification),
    "VerificationPatch": SchemaWriter(form: .sparse).record(AgentTables.verification),
    "StoredMCPServer": described(
      "Members that are null or empty objects are left out.", SchemaWriter(form: .answer).record(MCPTables.server)),
    "MCPServerPatch": described(
      "A merge patch: null removes, what an `auth` leaves empty stays.", SchemaWriter(form: .sparse).record(MCPTables.server)),
    "ConversationStart": described(
      """
      One of `agent`, `agent_settings` and `agent_profile_id`. With `secrets_encrypted`, values that are tokens of this server are opened; \
      one that does not open is refused.
      """, SchemaWriter(form: .whole).record(ConversationStartTables.request)),
    "AgentProfile": ["anyOf": [profile(AgentProfile.openHands, .answer), profile(AgentProfile.acp, .answer)]],
    "AgentProfileInput": described(
      "Id, name and revision are the server's: what is sent for them is checked and replaced.",
      ["anyOf": [profile(AgentProfile.openHands, .whole), profile(AgentProfile.acp, .whole)]]),
  ]

  /// A document of an older version may hold other shapes.
  private static let older: JSONValue = [
    "type": "object", "required": ["schema_version"],
    "properties": ["schema_version": ["anyOf": [["type": "integer", "minimum": 0, "maximum": 4], ["type": "null"]]]],
  ]

  private static func settings(_ kind: JSONString, _ form: SchemaWriter.Form) -> JSONValue {
    let writer = SchemaWriter(form: form, references: form == .answer ? stored : patches)
    return AgentTables.record(kind: kind, now: "").map { writer.record($0) } ?? [:]
  }

  private static let stored: [JSONString: JSONString] = [
    "llm": "LanguageModel", "mcp_config": "StoredMCPServer", "agent_context": "AgentContext", "condenser": "Condenser",
    "verification": "Verification",
  ]
  private static let patches: [JSONString: JSONString] = [
    "llm": "LanguageModelPatch", "mcp_config": "MCPServerPatch", "agent_context": "AgentContextPatch", "condenser": "CondenserPatch",
    "verification": "VerificationPatch",
  ]

  /// The table's members and the server's own.
  private static func profile(_ record: Record, _ form: SchemaWriter.Form) -> JSONValue {
    let version = IntegerRule.atLeast(1)
    let own =
      form == .answer
      ? [
        Field("schema_version", .integer(version), 2), Field("id", .text(minimum: 1), ""), Field("name", .text(minimum: 1), ""),
        Field("revision", .integer(.atLeast(0)), 0),
      ]
      : [
        Field("schema_version", .integer(version), 2, nullable: true), Field("id", .text(), ""),
        Field("name", .truthiness, ""), Field("revision", .integer(.atLeast(0)), 0),
      ]
    return SchemaWriter(form: form).record(Record(own + record.fields, unknown: .refused))
  }

  private static func described(_ text: JSONString, _ schema: JSONValue) -> JSONValue {
    guard var object = schema.object else { return schema }
    object["description"] = .string(text)
    return .object(object)
  }
}
