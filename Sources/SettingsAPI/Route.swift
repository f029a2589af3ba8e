internal import HTTPMessages

/// Everything the settings dialect answers. The table drives routing, `/docs` and `/openapi.json`.
enum Route: Sendable {
  case serverInfo, alive, ready, initialisation, documentation, openAPI
  case settings, changeSettings, agentSchema, conversationSchema
  case secrets, putSecret, secretValue, deleteSecret

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
    Entry(methods: [.get], pattern: "/api/settings", route: .settings),
    Entry(methods: [.patch], pattern: "/api/settings", route: .changeSettings),
    Entry(methods: [.get], pattern: "/api/settings/agent-schema", route: .agentSchema),
    Entry(methods: [.get], pattern: "/api/settings/conversation-schema", route: .conversationSchema),
    Entry(methods: [.get], pattern: "/api/settings/secrets", route: .secrets),
    Entry(methods: [.put], pattern: "/api/settings/secrets", route: .putSecret),
    Entry(methods: [.get], pattern: "/api/settings/secrets/{name}", route: .secretValue),
    Entry(methods: [.delete], pattern: "/api/settings/secrets/{name}", route: .deleteSecret),
  ]

  private static let unservedAreas: Set<[UInt8]> = Set(
    [
      "conversations", "profiles", "agent-profiles", "llm", "workspaces", "mcp", "skills", "plugins", "tools", "hooks", "bash", "file",
      "git",
      "vscode", "desktop", "auth",
    ].map { Array($0.utf8) })

  /// True below `/api` where the agent server has routes and this one has none.
  static func isUnserved(_ target: RequestTarget) -> Bool {
    guard target.segments.count >= 2, target.segments[0] == Array("api".utf8) else { return false }
    if target.segments[1] == Array("settings".utf8) { return target.segments.count > 3 && target.segments[2] == Array("mcp".utf8) }
    return unservedAreas.contains(target.segments[1])
  }

  /// True where no key is asked for (spec section 1.2).
  var isOpen: Bool {
    switch self {
    case .serverInfo, .alive, .ready, .initialisation, .documentation, .openAPI: true
    case .settings, .changeSettings, .agentSchema, .conversationSchema, .secrets, .putSecret, .secretValue, .deleteSecret: false
    }
  }

  var summary: StaticString {
    switch self {
    case .serverInfo: "What this server is"
    case .alive: "The process runs"
    case .ready: "The store can be used"
    case .initialisation: "Deferred initialisation, which this server does not have"
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
    }
  }
}
