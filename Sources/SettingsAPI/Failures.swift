internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

extension Status {
  static let ok = Status(200)
  static let temporaryRedirect = Status(307)
  static let badRequest = Status(400)
  static let unauthorized = Status(401)
  static let notFound = Status(404)
  static let methodNotAllowed = Status(405)
  static let unprocessable = Status(422)
}

/// The bodies of refusals (spec section 1.4).
enum Failure {
  /// `{"detail": text}`.
  static func response(_ status: Status, _ detail: String, headers: [(name: StaticString, value: String)] = []) -> Response {
    body(status, ["detail": .string(JSONString(detail))], headers: headers)
  }

  /// The list form of 422. No entry repeats the input (decision D5).
  static func response(_ issues: [ValidationIssue]) -> Response {
    body(.unprocessable, ["detail": .array(issues.map(\.json))])
  }

  /// A failure of the server: clients look for the text in `exception`.
  static func server(_ status: Int, _ text: String, headers: [(name: StaticString, value: String)] = []) -> Response {
    body(Status(status), ["detail": "Internal Server Error", "exception": .string(JSONString("\(status): \(text)"))], headers: headers)
  }

  static func body(_ status: Status, _ json: JSONValue, headers: [(name: StaticString, value: String)] = []) -> Response {
    Response(status: status, contentType: MediaType.json, headers: headers, body: .bytes(json.serialized()))
  }

  /// The one mapping from failures of the use cases to answers.
  static func response(_ error: ServiceError) -> Response {
    switch error {
    case .unauthenticated: response(.unauthorized, "Unauthorized")
    case .forbidden(let action): response(Status(403), "This key may not \(phrase(action)).")
    case .notFound: response(.notFound, "Secret not found")
    case .absent(let thing, let name): response(.notFound, absent(thing, name))
    case .taken(let thing, let name): response(Status(409), taken(thing, name))
    case .limitReached(let thing, let limit): response(Status(409), full(thing, limit))
    case .referenced(let thing, let users): response(Status(409), inUse(thing, users))
    case .danglingConnection(let profile, let connection):
      response(
        .unprocessable,
        "Profile '\(profile)' references provider connection '\(connection)', which does not exist. Update the profile or recreate the connection."
      )
    case .invalidAgentProfile: response(.unprocessable, "Invalid agent profile")
    case .unusableAgentProfile(let name, let reasons, let dangling): unusable(name, reasons, dangling)
    case .emptyChange: response(.unprocessable, "Provide at least one provider connection field to update")
    case .keyNotClearable: response(.unprocessable, "api_key cannot be cleared; provide a new key to rotate it")
    case .invalidSecretName: response(.unprocessable, invalidName)
    case .valueTooLong(let limit): response(Status(413), "The value is longer than \(limit) bytes.")
    case .invalidBody(let issues): response(issues)
    case .invalidSettings: response(.unprocessable, "Settings validation failed")
    case .tokensDoNotOpen(let pointers):
      body(
        .unprocessable,
        [
          "detail": .string(
            JSONString("Settings validation failed: encrypted values that this server cannot open: " + pointers.joined(separator: ", "))),
          "pointers": .array(pointers.map { .string(JSONString($0)) }),
        ])
    case .preconditionFailed: response(Status(412), "The stored version is not the one named by If-Match.")
    case .conflict: response(Status(409), "Conflict")
    case .obstructed(let obstacle): response(Status(409), obstacle.text)
    case .sealed: server(503, "The server is sealed", headers: [("Retry-After", "\(ErrorCode.sealed.retryAfter ?? 1)")])
    case .unreadable: server(503, "A stored value is damaged or sealed with a different key")
    case .storageFull: server(507, "The disk is full; nothing was changed")
    case .unavailable: server(503, "The store cannot be used now")
    case .busy: server(503, "Too many writes are waiting; try again")
    case .internalFailure: server(500, "An internal operation failed")
    }
  }

  private static func unusable(_ name: String, _ reasons: [String], _ dangling: [String]) -> Response {
    let message = JSONValue.string(JSONString("Agent profile '\(name)' cannot be launched: " + reasons.joined(separator: "; ")))
    guard !dangling.isEmpty else { return body(.unprocessable, ["detail": message]) }
    let names = JSONValue.array(dangling.map { .string(JSONString($0)) })
    return body(.unprocessable, ["detail": ["message": message, "dangling_mcp_server_refs": names]])
  }

  private static func absent(_ thing: NamedThing, _ name: String) -> String {
    switch thing {
    case .mcpServer: "MCP server '\(name)' was not found"
    case .profile: "Profile '\(name)' not found"
    case .agentProfile: "Agent profile '\(name)' not found"
    case .agentProfileID: "Agent profile with id '\(name)' not found"
    case .connection: "Provider connection '\(name)' not found"
    case .workspace: "Workspace not found"
    case .workspaceParent: "Workspace parent not found"
    case .agentServer: "No agent server '\(name)' is configured here"
    }
  }

  private static func taken(_ thing: NamedThing, _ name: String) -> String {
    switch thing {
    case .mcpServer: "MCP server '\(name)' already exists"
    case .profile: "Profile '\(name)' already exists"
    case .agentProfile, .agentProfileID: "Agent profile '\(name)' already exists"
    case .connection: "Provider connection '\(name)' already exists"
    case .workspace, .workspaceParent, .agentServer: "It exists already"
    }
  }

  private static func full(_ thing: NamedThing, _ limit: Int) -> String {
    switch thing {
    case .profile: "Profile limit reached (\(limit)). Delete a profile before saving a new one."
    case .agentProfile, .agentProfileID: "Agent profile limit reached (\(limit)). Delete a profile before saving a new one."
    case .connection: "Provider connection limit reached (\(limit)). Delete one before adding another."
    case .mcpServer, .workspace, .workspaceParent, .agentServer: "At most \(limit) of these may be kept."
    }
  }

  private static func inUse(_ thing: NamedThing, _ users: [String]) -> String {
    switch thing {
    case .connection:
      "Provider connection cannot be deleted while it is \(users.joined(separator: " and ")). Update those references before deleting it."
    case .profile: "LLM profile is referenced by \(users.count) agent profile(s): \(users.joined(separator: ", "))"
    case .mcpServer, .agentProfile, .agentProfileID, .workspace, .workspaceParent, .agentServer:
      "It is in use: \(users.joined(separator: ", "))"
    }
  }

  static let invalidName =
    "Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, and be 1-64 characters long."

  private static func phrase(_ action: Action) -> String {
    switch action {
    case .readRedacted: "read settings"
    case .readEncrypted: "read encrypted values"
    case .readPlaintext: "read plaintext values"
    case .listSecrets: "list secrets"
    case .readSecretValue: "read secret values"
    case .write: "change anything"
    case .converse: "use the agent server"
    }
  }

  /// The one mapping from requests that never became one: the members of both dialects.
  static func response(_ refusal: RequestRefusal, requestID: String, at time: String) -> Response {
    let (status, code, text): (Int, JSONValue, JSONValue) =
      switch refusal {
      case .invalidPath: (400, "invalid_path", "The path is not valid.")
      case .invalidRequest: (400, "bad_request", "The request is not valid.")
      case .incompleteBody: (400, "bad_request", "The body ended before its announced length.")
      case .bodyTooLarge: (413, "body_too_large", "The body is longer than 1048576 bytes.")
      case .headerTooLarge: (431, "bad_request", "A header field is too long.")
      }
    return body(
      Status(status),
      [
        "detail": text, "message": text, "code": code, "status": .number(JSONNumber(status)),
        "requestId": .string(JSONString(requestID)), "timestamp": .string(JSONString(time)),
      ])
  }
}
