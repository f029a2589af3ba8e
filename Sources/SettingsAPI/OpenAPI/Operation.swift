internal import Model
internal import StrictJSON

/// What one route takes and what it may answer.
struct Operation {
  struct Success {
    let status: Int
    let text: String
    let media: JSONString
    let schema: JSONValue
  }

  private(set) var parameters: [JSONValue] = []
  /// The schema of the request body.
  private(set) var body: JSONString?
  private(set) var success: Success?
  /// The answer carries an ETag.
  private(set) var hasTag = false
  private var refusals: [Int]

  /// nginx and the responder may refuse any request before a route sees it; a failure may meet any request.
  private static let always = [400, 413, 431, 500, 503]

  /// Without an agent server, and where it does not answer as it should.
  private static let behind = [501, 502, 504]

  private init(_ success: Success?, refusals: [Int] = []) {
    self.success = success
    self.refusals = refusals
  }

  private static func gives(_ schema: JSONString, _ status: Int = 200, refusals: [Int] = []) -> Operation {
    let text = status == 201 ? "Created" : "OK"
    return Operation(
      Success(status: status, text: text, media: "application/json", schema: Schemas.reference(schema)), refusals: refusals)
  }

  private static func text(_ media: JSONString, refusals: [Int] = []) -> Operation {
    Operation(Success(status: 200, text: "OK", media: media, schema: ["type": "string"]), refusals: refusals)
  }

  private func taking(_ body: JSONString) -> Operation {
    var operation = self
    operation.body = body
    operation.refusals += [415, 422]
    return operation
  }

  private func with(_ parameters: JSONValue...) -> Operation {
    var operation = self
    operation.parameters += parameters
    return operation
  }

  /// The answer names the stored version, and a request may.
  private var tagged: Operation {
    var operation = self
    operation.hasTag = true
    return operation
  }

  private var conditional: Operation {
    var operation = with(Self.ifMatch)
    operation.refusals.append(412)
    return operation
  }

  func refusals(of route: Route) -> [Int] {
    let keyed = route.isOpen ? [] : [401, 403]
    let writing = route.isWriting ? [507] : []
    return Set(Self.always + keyed + writing + refusals).sorted()
  }

  // MARK: - Parameters

  private static let exposure: JSONValue = [
    "name": "X-Expose-Secrets", "in": "header", "required": false,
    "description": "How secrets are shown: redacted when absent, as tokens, or in the clear. Case and outer blanks do not matter.",
    "schema": ["type": "string", "pattern": .string(JSONString(exposurePattern))],
  ]
  /// A regular expression of JSON Schema knows no case that does not matter.
  private static let exposurePattern =
    "^[ \\t]*("
    + ["encrypted", "plaintext", "true", ""].map { word in word.map { "[\($0)\($0.uppercased())]" }.joined() }.joined(separator: "|")
    + ")[ \\t]*$"
  private static let ifNoneMatch: JSONValue = header("If-None-Match", "Entity tags; 304 when one is the stored version's.")
  private static let ifMatch: JSONValue = header("If-Match", "Entity tags; 412 when none is the stored version's, whatever else it may be.")
  private static let path: JSONValue = [
    "name": "path", "in": "query", "required": true, "description": "The path of the entry.", "schema": ["type": "string"],
  ]

  private static func header(_ name: JSONString, _ text: JSONString) -> JSONValue {
    [
      "name": .string(name), "in": "header", "required": false, "description": .string(text),
      "schema": ["type": "string"],
    ]
  }

  static func pathParameter(_ name: String, _ route: Route) -> JSONValue {
    let schema: JSONValue =
      switch (name, route) {
      case ("name", .secretValue), ("name", .deleteSecret): ["type": "string", "pattern": .string(Schemas.secretName)]
      case ("name", _): ["type": "string", "pattern": .string(JSONString(ProfileName.pattern))]
      default: ["type": "string", "minLength": 1]
      }
    return ["name": .string(JSONString(name)), "in": "path", "required": true, "schema": schema]
  }

  // MARK: - Routes

  init(_ route: Route) { self = Self.of(route) }

  private static func of(_ route: Route) -> Operation {
    switch route {
    case .serverInfo: gives("ServerInfo")
    case .alive: gives("Alive")
    case .ready: gives("Ready")
    case .initialisation: Operation(nil, refusals: [404])
    case .initialise: Operation(nil, refusals: [401])
    case .documentation: text("text/html")
    case .openAPI: gives("Description")
    case .settings: gives("Settings", refusals: [304]).with(exposure, ifNoneMatch).tagged
    case .changeSettings: gives("Settings", refusals: [404]).taking("SettingsPatch").conditional.tagged
    case .agentSchema, .conversationSchema: gives("FormSchema")
    case .secrets: gives("SecretList")
    case .putSecret: gives("SecretSummary").taking("SecretPut").conditional.tagged
    case .secretValue: text("text/plain", refusals: [404, 422])
    case .deleteSecret: gives("Deleted", refusals: [404, 422]).conditional
    case .addMCPServer: gives("Settings", 201, refusals: [404, 409]).taking("MCPServer").conditional.tagged
    case .changeMCPServer: gives("Settings", refusals: [404]).taking("MCPServerPatch").conditional.tagged
    case .removeMCPServer: gives("Settings", refusals: [404]).conditional.tagged
    case .profiles: gives("ProfileList")
    case .profile: gives("Profile", refusals: [404, 422]).with(exposure)
    case .saveProfile: gives("Done", 201, refusals: [404, 409]).taking("ProfileSave")
    case .deleteProfile: gives("Done", refusals: [404, 409, 422])
    case .renameProfile: gives("Done", refusals: [404, 409]).taking("Rename")
    case .activateProfile: gives("ProfileActivation", refusals: [404, 422])
    case .agentProfiles: gives("AgentProfileList")
    case .agentProfile: gives("NamedAgentProfile", refusals: [404, 422])
    case .saveAgentProfile: gives("Done", 201, refusals: [404, 409]).taking("AgentProfileInput")
    case .deleteAgentProfile: gives("Done", refusals: [404, 422])
    case .renameAgentProfile: gives("Done", refusals: [404, 409]).taking("Rename")
    case .activateAgentProfile: gives("AgentProfileActivation", refusals: [404])
    case .materializeAgentProfile: gives("Materialization", refusals: [404, 422])
    case .connections: gives("ConnectionList")
    case .createConnection: gives("Connection", 201, refusals: [409]).taking("ConnectionCreate")
    case .changeConnection: gives("Connection", refusals: [404]).taking("ConnectionPatch")
    case .deleteConnection: gives("Connection", refusals: [404, 409])
    case .workspaces: gives("Workspaces")
    case .addWorkspaces: gives("Workspaces", refusals: [409]).taking("WorkspaceAdditions")
    case .addWorkspaceParents: gives("Workspaces", refusals: [409]).taking("WorkspaceParentAdditions")
    case .startConversation: gives("Conversation", 201, refusals: [404] + behind).taking("ConversationStart")
    case .deleteConversation: gives("Success", refusals: [404, 422] + behind)
    case .addConversationSecrets: gives("Success", refusals: [404] + behind).taking("ConversationSecrets")
    case .conversationValue: text("text/plain", refusals: [404, 422])
    case .switchModel: gives("Success", refusals: [404] + behind).taking("ModelSwitch")
    case .switchProfile: gives("Success", refusals: [404] + behind).taking("ProfileSwitch")
    case .removeWorkspace, .removeWorkspaceParent: gives("Deleted", refusals: [404, 422]).with(path)
    }
  }
}
