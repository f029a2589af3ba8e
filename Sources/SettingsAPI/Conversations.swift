package import Gateway
internal import HTTPMessages
internal import Model
internal import SecretMemory
package import Service
internal import StrictJSON

/// The agent server behind this one, and how its conversations come to their secrets.
package struct ConversationGateway: Sendable {
  let gateway: Gateway
  let lookups: ConversationLookups

  package init(_ server: AgentServer, lookups: ConversationLookups) {
    gateway = Gateway(server)
    self.lookups = lookups
  }
}

/// What of `/api/conversations` passes through this server, since secrets are in it (spec section 10). The rest of the agent
/// server's API goes past it: `Relay.swift`.
extension SettingsAPI {
  func startConversation(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    return try withBody(request) { body throws(ServiceError) in
      let start = try self.desk.starting(body, for: principal)
      let target = "/api/conversations" + (request.target.rawQuery.isEmpty ? "" : "?" + request.target.rawQuery)
      return self.departing(start, "conversation.start", to: target, conversations, request, principal)
    }
  }

  func addConversationSecrets(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let secrets = try self.desk.addingSecrets(body, to: id, for: principal)
      return self.departing(secrets, "conversation.secrets", to: "/api/conversations/\(id)/secrets", conversations, request, principal)
    }
  }

  func switchModel(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let model = try self.desk.switching(body, of: id, for: principal)
      return self.departing(model, "conversation.switch_llm", to: "/api/conversations/\(id)/switch_llm", conversations, request, principal)
    }
  }

  /// A profile of this store becomes its model; another name is the agent server's own affair.
  func switchProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let place: [ValidationIssue.Step] = ["body", "profile_name"]
      guard let object = body.object else { throw .invalidBody([.notObject(["body"])]) }
      guard let given = object["profile_name"] else { throw .invalidBody([.missing(place)]) }
      guard let name = given.string?.text else { throw .invalidBody([.notText(place)]) }
      if let model = try self.desk.switching(toProfile: name, of: id, for: principal) {
        return self.departing(
          model, "conversation.switch_llm", to: "/api/conversations/\(id)/switch_llm", conversations, request, principal)
      }
      return .later { send in
        conversations.gateway.send("POST", "/api/conversations/\(id)/switch_profile", body: request.body, requestID: request.id) {
          send(AgentServerAnswer($0, conversations).response)
        }
      }
    }
  }

  /// The tokens end first: whatever becomes of the agent server's part, the secrets are out of reach.
  func deleteConversation(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    let service = desk.service
    return .later { send in
      service.revokeConversation(id, "conversation.delete", by: principal, requestID: request.id) { result in
        if case .failure(let error) = result { return send(Failure.response(error)) }
        conversations.gateway.send("DELETE", "/api/conversations/\(id)", body: nil, requestID: request.id) {
          send(AgentServerAnswer($0, conversations).response)
        }
      }
    }
  }

  /// A value that was given for one conversation, for its token alone.
  func conversationValue(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.readSecretValue)
    let id = try conversation(parameters)
    guard parameters.count == 2, let number = Int(String(decoding: parameters[1], as: UTF8.self)) else { throw .notFound }
    let exposure = try desk.conversationValue(number, of: id, for: principal)
    return recorded(exposure.event, by: principal, request) {
      Response(status: .ok, contentType: MediaType.text, body: .secret(exposure.value))
    }
  }

  private func conversation(_ parameters: [[UInt8]]) throws(ServiceError) -> String {
    guard let id = parameters.first.flatMap(UUIDText.canonical) else {
      throw .invalidBody([.other("uuid_parsing", ["path", "conversation_id"], "Input should be a valid UUID")])
    }
    return id
  }

  /// Sends the request once its audit entry is durable, and takes its token back when it came to nothing.
  private func departing(
    _ conversation: ConversationRequest, _ action: StaticString, to target: String, _ conversations: ConversationGateway,
    _ request: Request, _ principal: Principal
  ) -> Answer {
    let service = desk.service
    return .later { send in
      service.depart(conversation, action, lookups: conversations.lookups, for: principal, requestID: request.id) { result in
        let departing: DepartingRequest
        switch result {
        case .success(let ready): departing = ready
        case .failure(let error): return send(Failure.response(error))
        }
        conversations.gateway.send("POST", target, body: departing.body, requestID: request.id) { result in
          let answer = AgentServerAnswer(
            result, conversations, for: departing, isStart: target.hasPrefix("/api/conversations?") || target == "/api/conversations")
          if answer.isInVain, let keyID = departing.keyID {
            service.withdraw(keyID, of: departing.conversation, by: principal, requestID: request.id)
          }
          send(answer.response)
        }
      }
    }
  }

  static let noAgentServer = Failure.server(
    501,
    "This server keeps settings and secrets and has no agent server behind it; name one with agent-server in coffer.conf, COFFER_AGENT_SERVER or coffer up --agent-server"
  )
}
