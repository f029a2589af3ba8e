internal import Model
internal import StrictJSON

extension Schemas {
  /// Probes, the settings document, form schemas, secrets.
  static let settings: KeyValuePairs<JSONString, JSONValue> = [
    "Alive": answer(["status": constant("ok")]),
    "Ready": described(
      "With a key that may start conversations, and where there are agent servers, also how each of them is.",
      answer(
        [
          "status": constant("ready"),
          "agent_servers": list(
            answer(["name": orNull(string), "status": ["enum": ["ok", "refused", "unreachable", "silent", "garbled", "busy"]]])),
        ], optional: ["agent_servers"])),
    "Description": object(["openapi": string], required: ["openapi"]),
    "ServerInfo": answer([
      "uptime": duration, "idle_time": duration, "title": string, "version": string, "sdk_version": string, "tools_version": string,
      "workspace_version": string, "build_git_sha": string, "build_git_ref": string, "python_version": string, "usable_tools": strings,
      "runtime_idle_timeout_seconds": orNull(duration), "capabilities": strings,
      "max_foreground_terminal_timeout_seconds": orNull(duration), "docs": string, "redoc": string,
    ]),
    "Settings": described(
      "The whole document. Ten stars stand for a secret unless the request asked for tokens or the clear.",
      answer([
        "agent_settings": reference("AgentSettings"), "conversation_settings": reference("ConversationSettings"),
        "llm_api_key_is_set": boolean, "active_profile": orNull(string), "active_agent_profile_id": orNull(string),
        "misc_settings": ["type": "object"],
      ])),
    "SettingsPatch": described("At least one member; all of it is applied, or nothing.", settingsPatch),
    "FormSchema": answer(["model_name": string, "sections": list(section)]),
    "SecretSummary": answer(["name": string, "description": orNull(string)]),
    "SecretList": answer(["secrets": list(reference("SecretSummary"))]),
    "SecretPut": described(
      "An absent value, or ten stars, keeps the stored one; an absent description stays.",
      object(
        ["name": ["type": "string", "pattern": .string(secretName)], "value": string, "description": orNull(string)], required: ["name"])),
    "Deleted": answer(["deleted": constant(true)]),
  ]

  private static let settingsPatch: JSONValue = object([
    "agent_settings_diff": orNull(reference("AgentSettingsDiff")),
    "conversation_settings_diff": orNull(reference("ConversationSettingsDiff")),
    "misc_settings_diff": orNull(["type": "object"]),
    "active_profile": orNull(["type": "string", "pattern": .string(JSONString(ProfileName.pattern))]),
    "active_agent_profile_id": orNull([
      "type": "string", "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    ]),
  ])

  private static let section: JSONValue = answer([
    "key": string, "label": string, "fields": list(field), "variant": orNull(["enum": ["openhands", "acp"]]),
  ])

  private static let field: JSONValue = answer([
    "key": string, "label": string, "description": orNull(string), "section": string, "section_label": string,
    "value_type": ["enum": ["string", "integer", "number", "boolean", "array", "object"]], "default": [:],
    "prominence": ["enum": ["critical", "major", "minor"]], "depends_on": strings, "secret": boolean,
    "choices": list(answer(["value": string, "label": string])), "variant": orNull(["enum": ["openhands", "acp"]]),
  ])
}
