internal import HTTPMessages

/// Everything the settings dialect answers. The table drives routing, `/docs` and `/openapi.json`.
enum Route: Sendable {
  case serverInfo, alive, ready, initialisation, initialise, documentation, openAPI
  case settings, changeSettings, agentSchema, conversationSchema
  case secrets, putSecret, secretValue, deleteSecret
  case addMCPServer, changeMCPServer, removeMCPServer
  case profiles, profile, saveProfile, deleteProfile, renameProfile, activateProfile
  case agentProfiles, agentProfile, saveAgentProfile, deleteAgentProfile, renameAgentProfile, activateAgentProfile
  case materializeAgentProfile
  case connections, createConnection, changeConnection, deleteConnection
  case workspaces, addWorkspaces, addWorkspaceParents, removeWorkspace, removeWorkspaceParent
  case startConversation, deleteConversation, addConversationSecrets, conversationValue, switchModel, switchProfile

  struct Entry: Sendable {
    let methods: [HTTPMethod]
    let pattern: StaticString
    let route: Route
  }

  static let table: [Entry] = [
    Entry(methods: [.get], pattern: "/", route: .serverInfo),
    Entry(methods: [.get], pattern: "/server_info", route: .serverInfo),
    Entry(methods: [.get], pattern: "/alive", route: .alive),
    Entry(methods: [.get], pattern: "/health", route: .alive),
    Entry(methods: [.get], pattern: "/ready", route: .ready),
    Entry(methods: [.get], pattern: "/docs", route: .documentation),
    Entry(methods: [.get], pattern: "/redoc", route: .documentation),
    Entry(methods: [.get], pattern: "/openapi.json", route: .openAPI),
    Entry(methods: [.get], pattern: "/api/init", route: .initialisation),
    Entry(methods: [.post], pattern: "/api/init", route: .initialise),
    Entry(methods: [.get], pattern: "/api/settings", route: .settings),
    Entry(methods: [.patch], pattern: "/api/settings", route: .changeSettings),
    Entry(methods: [.get], pattern: "/api/settings/agent-schema", route: .agentSchema),
    Entry(methods: [.get], pattern: "/api/settings/conversation-schema", route: .conversationSchema),
    Entry(methods: [.post], pattern: "/api/settings/mcp/{key}", route: .addMCPServer),
    Entry(methods: [.patch], pattern: "/api/settings/mcp/{key}", route: .changeMCPServer),
    Entry(methods: [.delete], pattern: "/api/settings/mcp/{key}", route: .removeMCPServer),
    Entry(methods: [.get], pattern: "/api/settings/secrets", route: .secrets),
    Entry(methods: [.put], pattern: "/api/settings/secrets", route: .putSecret),
    Entry(methods: [.get], pattern: "/api/settings/secrets/{name}", route: .secretValue),
    Entry(methods: [.delete], pattern: "/api/settings/secrets/{name}", route: .deleteSecret),
    Entry(methods: [.get], pattern: "/api/profiles", route: .profiles),
    Entry(methods: [.get], pattern: "/api/profiles/{name}", route: .profile),
    Entry(methods: [.post], pattern: "/api/profiles/{name}", route: .saveProfile),
    Entry(methods: [.delete], pattern: "/api/profiles/{name}", route: .deleteProfile),
    Entry(methods: [.post], pattern: "/api/profiles/{name}/rename", route: .renameProfile),
    Entry(methods: [.post], pattern: "/api/profiles/{name}/activate", route: .activateProfile),
    Entry(methods: [.get], pattern: "/api/agent-profiles", route: .agentProfiles),
    Entry(methods: [.get], pattern: "/api/agent-profiles/{name}", route: .agentProfile),
    Entry(methods: [.post], pattern: "/api/agent-profiles/{name}", route: .saveAgentProfile),
    Entry(methods: [.delete], pattern: "/api/agent-profiles/{name}", route: .deleteAgentProfile),
    Entry(methods: [.post], pattern: "/api/agent-profiles/{name}/rename", route: .renameAgentProfile),
    Entry(methods: [.post], pattern: "/api/agent-profiles/{id}/activate", route: .activateAgentProfile),
    Entry(methods: [.post], pattern: "/api/agent-profiles/{name}/materialize", route: .materializeAgentProfile),
    Entry(methods: [.get], pattern: "/api/llm/provider-connections", route: .connections),
    Entry(methods: [.post], pattern: "/api/llm/provider-connections", route: .createConnection),
    Entry(methods: [.patch], pattern: "/api/llm/provider-connections/{id}", route: .changeConnection),
    Entry(methods: [.delete], pattern: "/api/llm/provider-connections/{id}", route: .deleteConnection),
    Entry(methods: [.get], pattern: "/api/workspaces", route: .workspaces),
    Entry(methods: [.post], pattern: "/api/workspaces", route: .addWorkspaces),
    Entry(methods: [.delete], pattern: "/api/workspaces", route: .removeWorkspace),
    Entry(methods: [.post], pattern: "/api/workspaces/parents", route: .addWorkspaceParents),
    Entry(methods: [.delete], pattern: "/api/workspaces/parents", route: .removeWorkspaceParent),
    Entry(methods: [.post], pattern: "/api/conversations", route: .startConversation),
    Entry(methods: [.delete], pattern: "/api/conversations/{id}", route: .deleteConversation),
    Entry(methods: [.post], pattern: "/api/conversations/{id}/secrets", route: .addConversationSecrets),
    Entry(methods: [.get], pattern: "/api/conversations/{id}/secrets/{number}", route: .conversationValue),
    Entry(methods: [.post], pattern: "/api/conversations/{id}/switch_llm", route: .switchModel),
    Entry(methods: [.post], pattern: "/api/conversations/{id}/switch_profile", route: .switchProfile),
  ]

  private static let unservedAreas: Set<[UInt8]> = Set(
    [
      "conversations", "llm", "mcp", "skills", "plugins", "tools", "hooks", "bash", "file",
      "git",
      "vscode", "desktop", "auth",
    ].map { Array($0.utf8) })

  /// True where the agent server has routes and this one has none.
  static func isUnserved(_ target: RequestTarget) -> Bool {
    guard target.segments.count >= 2, target.segments[0] == Array("api".utf8) else { return false }
    return unservedAreas.contains(target.segments[1])
  }

  /// `/api/auth` sets a cookie whose value is the key itself, which would be the agent server's.
  static func isRelayed(_ target: RequestTarget) -> Bool { target.segments[1] != Array("auth".utf8) }

  static func isConversation(_ target: RequestTarget) -> Bool {
    target.segments.count >= 2 && target.segments[0] == Array("api".utf8) && target.segments[1] == Array("conversations".utf8)
  }

  /// True where no key is asked for (spec section 1.2).
  var isOpen: Bool {
    switch self {
    case .serverInfo, .alive, .ready, .initialisation, .initialise, .documentation, .openAPI: true
    default: false
    }
  }

  /// True where the store may be written, the audit chain included.
  var isWriting: Bool {
    switch self {
    case .serverInfo, .alive, .ready, .initialisation, .initialise, .documentation, .openAPI: false
    default: true
    }
  }

  var summary: StaticString {
    switch self {
    case .serverInfo: "What this server is"
    case .alive: "The process runs"
    case .ready: "The store can be used"
    case .initialisation: "Deferred initialisation, which this server does not have"
    case .initialise: "Start a deferred server: refused, as there is no key that may"
    case .documentation: "This page"
    case .openAPI: "Machine-readable description"
    case .settings: "The settings document, redacted unless X-Expose-Secrets says otherwise"
    case .changeSettings: "Merge differences into the settings"
    case .agentSchema: "Form schema of the agent settings"
    case .conversationSchema: "Form schema of the conversation settings"
    case .secrets: "Names and descriptions of the custom secrets"
    case .putSecret: "Create or update a custom secret"
    case .secretValue: "The value of one custom secret, as text"
    case .deleteSecret: "Delete a custom secret"
    case .addMCPServer: "Add an MCP server"
    case .changeMCPServer: "Change an MCP server; absent members stay"
    case .removeMCPServer: "Remove an MCP server"
    case .profiles: "Names and models of the LLM profiles"
    case .profile: "One LLM profile, redacted unless X-Expose-Secrets says otherwise"
    case .saveProfile: "Save an LLM profile, new or over an old one"
    case .deleteProfile: "Delete an LLM profile"
    case .renameProfile: "Rename an LLM profile"
    case .activateProfile: "Make an LLM profile's model the active one"
    case .agentProfiles: "Agent profiles; the first list makes one of the current settings"
    case .agentProfile: "One agent profile"
    case .saveAgentProfile: "Save an agent profile, new or over an old one"
    case .deleteAgentProfile: "Delete an agent profile"
    case .renameAgentProfile: "Rename an agent profile"
    case .activateAgentProfile: "Point the settings at an agent profile"
    case .materializeAgentProfile: "What an agent profile comes to, as a dry run"
    case .connections: "Provider connections, without their keys"
    case .createConnection: "Create a provider connection"
    case .changeConnection: "Change a provider connection; absent members stay"
    case .deleteConnection: "Delete a provider connection that nothing refers to"
    case .workspaces: "Folders that a frontend remembers"
    case .addWorkspaces: "Remember folders"
    case .addWorkspaceParents: "Remember parent folders"
    case .removeWorkspace: "Forget a folder"
    case .removeWorkspaceParent: "Forget a parent folder"
    case .startConversation: "Start a conversation on the agent server, its encrypted values opened here"
    case .deleteConversation: "Delete a conversation and end its tokens"
    case .addConversationSecrets: "Give a conversation further secrets"
    case .conversationValue: "A value that was given for one conversation, for its token alone"
    case .switchModel: "Switch a conversation to another model"
    case .switchProfile: "Switch a conversation to an LLM profile"
    }
  }
}
