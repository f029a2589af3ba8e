internal import StrictJSON

// The document's tables (settings spec, sections 4.2 to 4.10), in the order in which members are printed.

enum AgentTables {
  /// The agent settings of the given kind; `now` is the time a fresh context carries.
  static func record(kind: JSONString, now: JSONString) -> Record? {
    switch kind {
    case "openhands": openHands(now)
    case "acp": acp(now)
    default: nil
    }
  }

  private static func openHands(_ now: JSONString) -> Record {
    Record([
      Field("schema_version", .integer(.atLeast(1)), 5),
      Field("agent_kind", .choice(["openhands"]), "openhands"),
      Field("agent", .text(), "CodeActAgent"),
      Field("llm", .record(llm), .object(defaults(of: llm, given: ["model": "gpt-5.5"]))),
      Field("tools", .list(.record(tool)), JSONValue.null),
      Field("enable_sub_agents", .boolean, false),
      Field("enable_switch_llm_tool", .boolean, true),
      Field("tool_concurrency_limit", .integer(.atLeast(1)), 1),
      Field("mcp_config", .map(.record(MCPTables.server)), [:]),
      Field("agent_context", .record(context(now)), .object(defaults(of: context(now)))),
      Field("condenser", condenser, .object(defaults(of: summarizingCondenser))),
      Field("verification", .record(verification), .object(defaults(of: verification))),
    ])
  }

  private static func acp(_ now: JSONString) -> Record {
    Record([
      Field("schema_version", .integer(.atLeast(1)), 5),
      Field("agent_kind", .choice(["acp"]), "acp"),
      Field("acp_server", .choice(["claude-code", "codex", "gemini-cli", "custom"]), "claude-code"),
      Field("acp_command", .list(.text()), []),
      Field("acp_args", .list(.text()), []),
      Field("acp_model", .text(), .null),
      Field("acp_session_mode", .text(), .null),
      Field("acp_prompt_timeout", .number(.above(0)), .decimal("1800.0")),
      Field("acp_startup_timeout", .number(.above(0)), .decimal("90.0")),
      Field("mcp_config", .map(.record(MCPTables.server)), [:]),
      Field("acp_isolate_data_dir", .boolean, false),
      Field("acp_file_secrets", .list(.record(fileSecret)), fileSecretDefaults),
      Field("llm", .record(llm), .object(defaults(of: llm, given: ["model": "gpt-5.5"]))),
      Field("agent_context", .record(context(now)), .null),
    ])
  }

  /// A record as it is before anyone sets anything, besides `given`.
  static func defaults(of record: Record, given: [(JSONString, JSONValue)]) -> JSONObject {
    let set = JSONObject(uniqueMembers: given.map { .init(name: $0.0, value: $0.1) })
    return JSONObject(uniqueMembers: record.fields.map { .init(name: $0.name, value: set[$0.name] ?? $0.initial ?? .null) })
  }

  private static func defaults(of record: Record) -> JSONObject { defaults(of: record, given: []) }
  private static func defaults(of record: Record, given: KeyValuePairs<JSONString, JSONValue>) -> JSONObject {
    defaults(of: record, given: given.map { ($0.key, $0.value) })
  }

  static let tool = Record([Field("name", .filledText, nil), Field("params", .object, [:], nullable: true)]) { tool in
    if tool["params"]?.isNull == true { tool["params"] = [:] }
    return true
  }

  private static let fileSecret = Record([
    Field("secret_name", .text(minimum: 1), nil), Field("filename", .text(minimum: 1), nil), Field("env_var", .text(minimum: 1), nil),
    Field("subdir", .text(minimum: 1), nil), Field("env_points_to", .choice(["dir", "file"]), "file"),
    Field("warn_if_unset", .list(.text()), []),
  ]) { spec in
    guard let filename = spec["filename"]?.string, let subdir = spec["subdir"]?.string else { return false }
    let slash = UInt8(ascii: "/")
    let parts = subdir.utf8.split(separator: slash, omittingEmptySubsequences: false).map { JSONString(utf8: Array($0)) }
    return !filename.utf8.contains(slash) && !filename.utf8.contains(0x5C) && filename != "." && filename != ".."
      && !subdir.isBlank && subdir.utf8.first != slash && subdir != "." && !parts.contains("..")
  }

  private static let fileSecretDefaults: JSONValue = [
    [
      "secret_name": "CODEX_AUTH_JSON", "filename": "auth.json", "env_var": "CODEX_HOME", "subdir": "codex", "env_points_to": "dir",
      "warn_if_unset": [],
    ],
    [
      "secret_name": "GOOGLE_APPLICATION_CREDENTIALS_JSON", "filename": "gcloud-credentials.json",
      "env_var": "GOOGLE_APPLICATION_CREDENTIALS", "subdir": "gemini-cli", "env_points_to": "file",
      "warn_if_unset": ["GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"],
    ],
  ]

  // MARK: - Language model

  /// Tokens; a context window below this is refused when it is named.
  private static let smallestWindow: Int64 = 16_384

  static let llm = Record([
    Field("model", .text(minimum: 1), nil),
    Field("api_key", .secret, .null),
    Field("provider_connection_id", .text(), .null),
    Field("auth_type", .choice(["api_key", "subscription"]), "api_key"),
    Field("subscription_vendor", .choice(["openai"]), .null),
    Field("base_url", .text(), .null),
    Field("api_version", .text(), .null),
    Field("aws_access_key_id", .secret, .null),
    Field("aws_secret_access_key", .secret, .null),
    Field("aws_session_token", .secret, .null),
    Field("aws_region_name", .text(), .null),
    Field("aws_profile_name", .text(), .null),
    Field("aws_role_name", .text(), .null),
    Field("aws_session_name", .text(), .null),
    Field("aws_bedrock_runtime_endpoint", .text(), .null),
    Field("openrouter_site_url", .text(), "https://docs.all-hands.dev/"),
    Field("openrouter_app_name", .text(), "OpenHands"),
    Field("num_retries", .integer(.atLeast(0)), 5),
    Field("retry_multiplier", .number(.atLeast(0)), .decimal("8.0")),
    Field("retry_min_wait", .integer(.atLeast(0)), 8),
    Field("retry_max_wait", .integer(.atLeast(0)), 64),
    Field("timeout", .integer(.atLeast(0)), 300, nullable: true),
    Field("max_message_chars", .integer(.atLeast(1)), 30_000),
    Field("temperature", .number(.atLeast(0)), .null),
    Field("top_p", .number(.between(0, 1)), .null),
    Field("top_k", .number(.atLeast(0)), .null),
    Field("max_input_tokens", .integer(.atLeast(1)), .null),
    Field("max_output_tokens", .integer(.atLeast(1)), .null),
    Field("model_canonical_name", .text(), .null),
    Field("api_mode", .choice(["auto", "chat", "responses"]), "auto"),
    Field("capability_overrides", .map(.either(.text(), .boolean)), [:]),
    Field("extra_headers", .headerMap, .null),
    Field("input_cost_per_token", .number(.atLeast(0)), .null),
    Field("output_cost_per_token", .number(.atLeast(0)), .null),
    Field("ollama_base_url", .text(), .null),
    Field("stream", .boolean, false),
    Field("drop_params", .boolean, true),
    Field("modify_params", .boolean, true),
    Field("disable_vision", .boolean, .null),
    Field("disable_stop_word", .boolean, false, nullable: true),
    Field("caching_prompt", .boolean, true),
    Field("log_completions", .boolean, false),
    Field("log_completions_folder", .text(), "logs/completions"),
    Field("custom_tokenizer", .text(), .null),
    Field("native_tool_calling", .boolean, true),
    Field("force_string_serializer", .boolean, .null),
    Field("inline_image_urls", .boolean, .null),
    Field("reasoning_effort", .text(), "high", nullable: true),
    Field("reasoning_summary", .choice(["auto", "concise", "detailed"]), .null),
    Field("enable_encrypted_reasoning", .boolean, true),
    Field("prompt_cache_retention", .text(), "24h", nullable: true),
    Field("extended_thinking_budget", .integer(), 200_000, nullable: true),
    Field("seed", .integer(), .null),
    Field("usage_id", .text(), "default"),
    Field("litellm_extra_body", .screened, [:]),
    Field("is_subscription", .truthiness, false),
  ]) { llm in
    guard let model = llm["model"]?.string else { return false }
    if let window = llm["max_input_tokens"]?.number?.int64, window < smallestWindow { return false }
    if model.utf8.starts(with: "azure".utf8), llm["api_version"].map({ $0.isNull || $0 == "" }) ?? true {
      llm["api_version"] = "2024-12-01-preview"
    }
    if model.utf8.starts(with: "openai/".utf8), let url = llm["base_url"]?.string,
      url == "https://api.openai.com" || url == "https://api.openai.com/"
    {
      llm["base_url"] = .null
    }
    return true
  }

  // MARK: - Context, condenser, verification

  static func context(_ now: JSONString) -> Record {
    Record([
      Field("skills", .list(.record(skill)), []),
      Field("system_message_suffix", .text(), .null),
      Field("user_message_suffix", .text(), .null),
      Field("load_user_skills", .boolean, false),
      Field("load_public_skills", .boolean, false),
      Field("marketplace_path", .text(), "marketplaces/default.json", nullable: true),
      Field("registered_marketplaces", .list(.record(marketplace)), []),
      Field("load_project_skills", .boolean, false),
      Field("load_memory", .boolean, false),
      Field("disabled_skills", .list(.text()), []),
      Field("secrets", .contextSecrets, .null),
      Field("current_datetime", .text(), .string(now), nullable: true),
    ]) { context in
      guard let skills = context["skills"]?.array, let disabled = context["disabled_skills"]?.array else { return false }
      var names: Set<JSONString> = []
      for skill in skills {
        guard let name = skill.object?["name"]?.string, names.insert(name).inserted else { return false }
      }
      context["skills"] = .array(skills.filter { skill in !disabled.contains { $0 == skill.object?["name"] } })
      return true
    }
  }

  private static let marketplace = Record([
    Field("name", .text(), nil), Field("source", .text(), nil), Field("ref", .text(), .null), Field("repo_path", .text(), .null),
    Field("auto_load", .either(.list(.text()), .boolean), false),
  ]) { marketplace in
    guard let path = marketplace["repo_path"]?.string else { return true }
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { JSONString(utf8: Array($0)) }
    return !path.utf8.isEmpty && path.utf8.first != UInt8(ascii: "/") && !parts.contains("..")
  }

  /// A skill as the agent server prints it. Its tools and resources are kept as they came.
  private static let skill = Record([
    Field("name", .text(), nil), Field("content", .text(), nil), Field("trigger", trigger, .null), Field("source", .text(), .null),
    Field("mcp_tools", .object, .null), Field("inputs", .list(.record(skillInput)), []), Field("is_agentskills_format", .boolean, false),
    Field("version", .text(), "1.0.0"), Field("description", .text(), .null), Field("license", .text(), .null),
    Field("compatibility", .text(), .null), Field("metadata", .object, .null), Field("allowed_tools", .list(.text()), .null),
    Field("disable_model_invocation", .boolean, false), Field("resources", .object, .null),
  ])

  private static let skillInput = Record([Field("name", .text(), nil), Field("description", .text(), nil)])

  private static let trigger = Shape.tagged(
    .init(
      member: "type", fallback: nil,
      variants: [
        Shape.Variant("keyword", Record([Field("type", .choice(["keyword"]), nil), Field("keywords", .list(.text()), nil)])),
        Shape.Variant("task", Record([Field("type", .choice(["task"]), nil), Field("triggers", .list(.text()), nil)])),
      ]))

  static let condenser = Shape.tagged(
    .init(
      member: "condenser_kind", fallback: "llm_summarizing",
      variants: [
        Shape.Variant("llm_summarizing", summarizingCondenser),
        Shape.Variant("no_op", Record([Field("enabled", .boolean, true), Field("condenser_kind", .choice(["no_op"]), "no_op")])),
      ]))

  static let summarizingCondenser = Record([
    Field("enabled", .boolean, true),
    Field("max_size", .integer(.atLeast(20)), 240),
    Field("condenser_kind", .choice(["llm_summarizing"]), "llm_summarizing"),
    Field("max_tokens", .integer(.above(0)), .null),
    Field("keep_first", .integer(.atLeast(0)), 2),
    Field("minimum_progress", .number(.inside(0, 1)), .decimal("0.1")),
    Field("hard_context_reset_max_retries", .integer(.above(0)), 5),
    Field("hard_context_reset_context_scaling", .number(.inside(0, 1)), .decimal("0.8")),
  ])

  static let verification = Record([
    Field("critic_enabled", .boolean, false),
    Field("critic_mode", .choice(["finish_and_message", "all_actions"]), "finish_and_message"),
    Field("enable_iterative_refinement", .boolean, false),
    Field("critic_threshold", .number(.between(0, 1)), .decimal("0.6")),
    Field("max_refinement_iterations", .integer(.atLeast(1)), 3),
    Field("critic_server_url", .text(), .null),
    Field("critic_model_name", .text(), .null),
    Field("critic_api_key", .secret, .null),
  ])
}

enum ConversationTables {
  static let record = Record([
    Field("schema_version", .integer(.atLeast(1)), 1),
    Field("max_iterations", .integer(.atLeast(1)), 500),
    Field("confirmation_mode", .boolean, false),
    Field("security_analyzer", .choice(["llm", "none"]), "llm", nullable: true),
  ])
}
