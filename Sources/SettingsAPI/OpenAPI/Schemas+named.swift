internal import Model
internal import StrictJSON

extension Schemas {
  /// Profiles, agent profiles, provider connections, workspaces.
  static let named: KeyValuePairs<JSONString, JSONValue> = [
    "Done": answer(["name": string, "message": string]),
    "Rename": object(["new_name": ["type": "string", "pattern": .string(JSONString(ProfileName.pattern))]], required: ["new_name"]),
    "ProfileList": answer(["profiles": list(profileSummary), "active_profile": orNull(string)]),
    "Profile": answer(["name": string, "config": reference("LanguageModel"), "api_key_set": boolean]),
    "ProfileSave": object(["llm": reference("LanguageModelInput"), "include_secrets": truthValue], required: ["llm"]),
    "ProfileActivation": answer(["name": string, "message": string, "llm_applied": boolean]),
    "AgentProfileList": answer(["profiles": list(agentProfileSummary), "active_agent_profile_id": orNull(string)]),
    "NamedAgentProfile": answer(["name": string, "profile": reference("AgentProfile")]),
    "AgentProfileActivation": answer(["id": string, "message": string, "agent_settings_applied": boolean]),
    "Materialization": described("What a profile comes to with what it names now, redacted.", materialization),
    "Connection": described("The key is never shown.", connection),
    "ConnectionList": list(reference("Connection")),
    "ConnectionCreate": object(
      ["display_name": text(1, 128), "provider": text(1, 128), "api_key": key, "base_url": orNull(text(0, 2048))],
      required: ["display_name", "api_key"], isOpen: false),
    "ConnectionPatch": described(
      "At least one member. A key can be replaced or emptied; ten stars keep it.",
      object(
        ["display_name": text(1, 128), "provider": text(1, 128), "api_key": string, "base_url": orNull(text(0, 2048))], isOpen: false)),
    "Workspaces": answer(["workspaces": list(workspace), "workspaceParents": list(workspaceParent)]),
    "WorkspaceAdditions": object(["workspaces": list(workspaceInput)], required: ["workspaces"]),
    "WorkspaceParentAdditions": object(["parents": list(parentInput)], required: ["parents"]),
  ]

  private static let profileSummary: JSONValue = answer([
    "name": string, "model": orNull(string), "base_url": orNull(string), "provider_connection_id": orNull(string),
    "provider_connection_broken": boolean, "api_key_set": boolean,
  ])

  private static let truthValue: JSONValue = described(
    "Whether secrets are stored; truth values as text are taken.", ["type": ["boolean", "string", "integer"]])

  private static let agentProfileSummary: JSONValue = answer([
    "id": string, "name": string, "agent_kind": ["enum": ["openhands", "acp"]], "revision": seconds, "llm_profile_ref": orNull(string),
    "mcp_server_refs": orNull(strings),
  ])

  private static let materialization: JSONValue = answer([
    "agent_kind": ["enum": ["openhands", "acp"]], "valid": boolean, "errors": strings, "llm_profile_ref": orNull(string),
    "llm_profile_resolved": boolean, "llm_api_key_set": boolean, "mcp_server_refs": orNull(strings), "resolved_mcp_config_keys": strings,
    "dangling_mcp_server_refs": strings, "disabled_skills": strings, "resolved_skills": list([:]),
    "acp_api_key_secret_name": orNull(string), "acp_base_url_secret_name": orNull(string), "acp_file_secret_names": strings,
    "resolved_settings": orNull(reference("AgentSettings")),
  ])

  private static let connection: JSONValue = answer([
    "id": string, "display_name": string, "provider": string, "base_url": orNull(string), "created_at": seconds, "updated_at": seconds,
    "api_key_set": boolean,
  ])

  /// Any text but the mask.
  private static let key: JSONValue = ["type": "string", "minLength": 1, "not": ["const": "**********"]]

  private static let workspaceParent: JSONValue = answer(["id": string, "name": string, "path": string])
  private static let workspace: JSONValue = answer(
    ["id": string, "name": string, "path": string, "parentPath": string], optional: ["parentPath"])

  private static let parentInput: JSONValue = object(
    ["id": text(1, 4096), "name": text(1, 256), "path": text(1, 4096)], required: ["id", "name", "path"])
  private static let workspaceInput: JSONValue = object(
    ["id": text(1, 4096), "name": text(1, 256), "path": text(1, 4096), "parentPath": orNull(text(0, 4096))],
    required: ["id", "name", "path"])
}
