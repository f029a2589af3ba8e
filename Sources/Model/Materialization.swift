package import StrictJSON

/// What an agent profile comes to with what it names: a dry run (settings spec, section 9.2). Redacted.
package struct Materialization: Sendable {
  /// The LLM profile that the profile names, with its connection's key in it.
  package enum Model: Sendable {
    case notNamed
    case missing
    /// Why it cannot be used.
    case unusable(String)
    case found(JSONObject)
  }

  private let profile: AgentProfile
  private let model: Model
  private let servers: JSONObject
  /// MCP servers that the profile names and the settings do not have.
  package let dangling: [String]
  package private(set) var errors: [String] = []
  /// The settings with their secrets in the clear; nil where `errors` says why.
  package private(set) var agentSettings: JSONObject?

  package init(_ profile: AgentProfile, model: Model, settings document: SettingsDocument, now: UTCTime) {
    self.profile = profile
    self.model = model
    let configured = document.agent["mcp_config"]?.object ?? JSONObject()
    let wanted = profile.serverRefs
    servers = JSONObject(
      uniqueMembers: configured.members.filter { member in wanted?.contains(member.name.text) ?? true })
    dangling = (wanted ?? []).filter { configured[JSONString($0)] == nil }
    switch model {
    case .missing: errors.append(Self.notFound(profile.llmProfile ?? ""))
    case .unusable(let reason): errors.append(reason)
    case .notNamed, .found: break
    }
    if !dangling.isEmpty { errors.append("MCP server(s) not configured: " + dangling.joined(separator: ", ")) }
    let built = profile.kind == "acp" ? acpSettings() : openHandsSettings(JSONString(now.preciseText))
    switch built {
    case .success(let object) where errors.isEmpty: agentSettings = object
    case .success: break
    case .failure(let reason): errors.append("Failed to build agent settings: " + reason.text)
    }
  }

  private static func notFound(_ name: String) -> String {
    if ProfileName.isValid(Array(name.utf8)) { return "LLM profile '\(name)' not found" }
    let rule = "Profile names must be 1-64 characters, start with a letter or digit, and contain only letters, digits, '.', '_', or '-'."
    return "Could not load LLM profile '\(name)': Invalid profile name: '\(name)'. \(rule)"
  }

  private struct Unbuildable: Error { let text: String }

  private func openHandsSettings(_ now: JSONString) -> Result<JSONObject, Unbuildable> {
    guard case .found(let llm) = model else { return .success(JSONObject()) }
    var given: [(JSONString, JSONValue)] = [
      ("llm", .object(llm)), ("mcp_config", .object(servers)), ("agent_context", context(.string(now))),
    ]
    for name in ["agent", "tools", "enable_sub_agents", "enable_switch_llm_tool", "tool_concurrency_limit", "condenser"] as [JSONString] {
      given.append((name, profile[name]))
    }
    var verification = profile["verification"].object ?? JSONObject()
    verification["critic_api_key"] = .null
    given.append(("verification", .object(verification)))
    guard let record = AgentTables.record(kind: "openhands", now: now) else { return .failure(Unbuildable(text: "unknown kind")) }
    return .success(AgentTables.defaults(of: record, given: given))
  }

  private func acpSettings() -> Result<JSONObject, Unbuildable> {
    let command = profile["acp_command"].string?.text ?? ""
    guard let words = ShellWords.split(command) else { return .failure(Unbuildable(text: "No closing quotation")) }
    if profile["acp_server"] == "custom", words.isEmpty {
      return .failure(
        Unbuildable(text: "acp_command is required when acp_server='custom' \u{2014} there is no default launch command to fall back to"))
    }
    var given: [(JSONString, JSONValue)] = [
      ("acp_command", .array(words.map { .string(JSONString($0)) })), ("acp_args", profile["acp_args"].isNull ? [] : profile["acp_args"]),
      ("mcp_config", .object(servers)), ("agent_context", context(.null)),
    ]
    for name in ["acp_server", "acp_model", "acp_session_mode", "acp_prompt_timeout", "acp_startup_timeout"] as [JSONString] {
      given.append((name, profile[name]))
    }
    guard let record = AgentTables.record(kind: "acp", now: "") else { return .failure(Unbuildable(text: "unknown kind")) }
    return .success(AgentTables.defaults(of: record, given: given))
  }

  private func context(_ time: JSONValue) -> JSONValue {
    .object(
      AgentTables.defaults(
        of: AgentTables.context(""),
        given: [
          ("system_message_suffix", profile["system_message_suffix"]), ("load_project_skills", true),
          ("disabled_skills", profile["disabled_skills"].isNull ? [] : profile["disabled_skills"]), ("current_datetime", time),
        ]))
  }

  /// With every secret masked.
  private static func shown(_ agent: JSONObject) -> JSONValue {
    var renderer = Renderer()
    guard let kind = agent["agent_kind"]?.string, let record = AgentTables.record(kind: kind, now: "") else { return .null }
    renderer.append(agent, as: record)
    let limits = JSONLimits(bytes: 64 << 20, depth: 256, members: 1_000_000)
    return (try? JSONValue.parse(renderer.result.redacted(), limits: limits)) ?? .null
  }

  package var json: JSONValue {
    var hasKey = false
    var isResolved = false
    if case .found(let llm) = model {
      isResolved = true
      hasKey = LLMProfile(llm: llm).hasKey
    }
    func list(_ names: [String]) -> JSONValue { .array(names.map { .string(JSONString($0)) }) }
    let secrets = ACPSecrets(server: profile["acp_server"].string)
    return [
      "agent_kind": .string(profile.kind), "valid": .bool(errors.isEmpty), "errors": list(errors),
      "llm_profile_ref": profile["llm_profile_ref"], "llm_profile_resolved": .bool(isResolved), "llm_api_key_set": .bool(hasKey),
      "mcp_server_refs": profile["mcp_server_refs"], "resolved_mcp_config_keys": list(servers.members.map(\.name.text)),
      "dangling_mcp_server_refs": list(dangling), "disabled_skills": profile["disabled_skills"].isNull ? [] : profile["disabled_skills"],
      "resolved_skills": [], "acp_api_key_secret_name": secrets.key, "acp_base_url_secret_name": secrets.baseURL,
      "acp_file_secret_names": secrets.files, "resolved_settings": agentSettings.map(Self.shown) ?? .null,
    ]
  }
}

/// The names under which an ACP server looks for its secrets.
private struct ACPSecrets {
  let key: JSONValue
  let baseURL: JSONValue
  let files: JSONValue

  init(server: JSONString?) {
    switch server {
    case "claude-code"?: (key, baseURL, files) = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", [])
    case "codex"?: (key, baseURL, files) = ("OPENAI_API_KEY", "OPENAI_BASE_URL", ["CODEX_AUTH_JSON"])
    case "gemini-cli"?: (key, baseURL, files) = ("GEMINI_API_KEY", "GEMINI_BASE_URL", ["GOOGLE_APPLICATION_CREDENTIALS_JSON"])
    case _: (key, baseURL, files) = (.null, .null, [])
    }
  }
}
