internal import StrictJSON

/// The request that starts a conversation (settings spec, section 10.1). `ConversationRequest` checks what stands in
/// `agent`, `agent_settings`, `secrets` and the ids.
enum ConversationStartTables {
  static let request = Record([
    Field("agent", .object, .null),
    Field("agent_settings", .object, .null),
    Field("agent_profile_id", .text(), .null),
    Field("workspace", .record(workspace), nil),
    Field("worktree", .boolean, false),
    Field("conversation_id", .text(), .null),
    Field("parent_conversation_id", .text(), .null),
    Field("confirmation_policy", .object, [:]),
    Field("security_analyzer", .object, .null),
    Field("initial_message", .object, .null),
    Field("max_iterations", .integer(.atLeast(1)), 500),
    Field("stuck_detection", .boolean, true),
    Field("secrets", .object, [:]),
    Field("secrets_encrypted", .boolean, false),
    Field("tool_module_qualnames", .map(.text()), [:]),
    Field("client_tools", .list(.object), []),
    Field("agent_definitions", .list(.object), []),
    Field("agent_launch_additions", .record(additions), .null),
    Field("plugins", .list(.object), .null),
    Field("hook_config", .object, .null),
    Field("tags", .map(.text()), [:]),
    Field("user_id", .text(), .null),
    Field("autotitle", .boolean, true),
    Field("title_llm_profile", .text(), .null),
  ])

  private static let workspace = Record([Field("working_dir", .text(), nil)])
  private static let additions = Record([Field("system_message_suffix_append", .text(), .null)], unknown: .refused)

  /// Where secrets stand in `body`, a request of any kind that goes to an agent server.
  static func secretPlaces(of body: JSONObject) -> Record {
    let isWrapped = body["agent"]?.object?["mcp_config"]?.object?[wrapped]?.object != nil
    var fields = [
      Field("agent", .record(agent(isWrapped: isWrapped)), .null), Field("llm", .record(AgentTables.llm), .null),
      Field("secrets", .contextSecrets, [:]),
    ]
    if let settings = AgentTables.record(kind: body["agent_settings"]?.object?["agent_kind"]?.string ?? "openhands", now: "") {
      fields.append(Field("agent_settings", .record(settings), .null))
    }
    return Record(fields, unknown: .kept)
  }

  /// The member in which older clients wrap their MCP servers.
  private static let wrapped: JSONString = "mcpServers"

  /// What of an agent object holds secrets: its models, its critic, its MCP servers, its context.
  private static func agent(isWrapped: Bool) -> Record {
    let servers = Shape.map(.record(MCPTables.server))
    return Record(
      [
        Field("llm", .record(AgentTables.llm), .null), Field("condenser", .record(condenser), .null),
        Field("critic", .record(Record([Field("api_key", .secret, .null), Field("llm", .record(AgentTables.llm), .null)])), .null),
        Field("mcp_config", isWrapped ? .record(Record([Field(wrapped, servers, .null)])) : servers, .null),
        Field("agent_context", .record(AgentTables.context("")), .null),
      ], unknown: .kept)
  }

  private static let condenser = Record([
    Field("llm", .record(AgentTables.llm), .null),
    Field("condensers", .list(.record(Record([Field("llm", .record(AgentTables.llm), .null)]))), .null),
  ])
}
