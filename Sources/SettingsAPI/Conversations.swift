package import Gateway
internal import HTTPMessages
internal import Model
internal import SecretMemory
package import Service
internal import StrictJSON

/// The agent servers behind this one, and how their conversations come to their secrets.
package struct ConversationGateway: Sendable {
  package let servers: AgentServers
  let lookups: ConversationLookups

  package init(_ servers: AgentServers, lookups: ConversationLookups) {
    self.servers = servers
    self.lookups = lookups
  }

  /// The agent server that the query names, or else that of the conversation.
  func server(for target: RequestTarget, of conversation: String?, _ desk: Desk, _ principal: Principal) throws(ServiceError)
    -> AgentServers.Named
  {
    if let named = try AgentServerQuery.named(in: target.rawQuery, self) { return named }
    return try server(of: conversation, desk, principal)
  }

  /// The agent server that a conversation is at; the first when there is no conversation, or none was chosen for it.
  func server(of conversation: String?, _ desk: Desk, _ principal: Principal) throws(ServiceError) -> AgentServers.Named {
    guard servers.areNamed, let conversation, let name = try desk.agentServer(of: conversation, for: principal) else {
      return servers.first
    }
    guard let server = servers.named(name) else { throw .absent(.agentServer, name) }
    return server
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
      let wanted = try AgentServerQuery.named(in: request.target.rawQuery, conversations)
      let query = AgentServerQuery.removed(from: request.target.rawQuery)
      let target = "/api/conversations" + (query.isEmpty ? "" : "?" + query)
      let server = wanted ?? conversations.servers.choice(for: start.conversation)
      return self.departing(start, "conversation.start", to: target, at: server, isStart: true, conversations, request, principal)
    }
  }

  func addConversationSecrets(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    let server = try conversations.server(of: id, desk, principal)
    return try withBody(request) { body throws(ServiceError) in
      let secrets = try self.desk.addingSecrets(body, to: id, for: principal)
      return self.departing(
        secrets, "conversation.secrets", to: "/api/conversations/\(id)/secrets", at: server, conversations, request, principal)
    }
  }

  func switchModel(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    let server = try conversations.server(of: id, desk, principal)
    return try withBody(request) { body throws(ServiceError) in
      let model = try self.desk.switching(body, of: id, for: principal)
      return self.departing(
        model, "conversation.switch_llm", to: "/api/conversations/\(id)/switch_llm", at: server, conversations, request, principal)
    }
  }

  /// A profile of this store becomes its model; another name is the agent server's own affair.
  func switchProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    let server = try conversations.server(of: id, desk, principal)
    return try withBody(request) { body throws(ServiceError) in
      let place: [ValidationIssue.Step] = ["body", "profile_name"]
      guard let object = body.object else { throw .invalidBody([.notObject(["body"])]) }
      guard let given = object["profile_name"] else { throw .invalidBody([.missing(place)]) }
      guard let name = given.string?.text else { throw .invalidBody([.notText(place)]) }
      if let model = try self.desk.switching(toProfile: name, of: id, for: principal) {
        return self.departing(
          model, "conversation.switch_llm", to: "/api/conversations/\(id)/switch_llm", at: server, conversations, request, principal)
      }
      return .later { send in
        server.gateway.send("POST", "/api/conversations/\(id)/switch_profile", body: request.body, requestID: request.id) {
          send(AgentServerAnswer($0, server.gateway).response)
        }
      }
    }
  }

  /// The tokens end first: whatever becomes of the agent server's part, the secrets are out of reach.
  func deleteConversation(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.converse)
    guard let conversations else { return .now(Self.noAgentServer) }
    let id = try conversation(parameters)
    let server = try conversations.server(of: id, desk, principal)
    let service = desk.service
    return .later { send in
      service.revokeConversation(id, "conversation.delete", by: principal, requestID: request.id) { result in
        if case .failure(let error) = result { return send(Failure.response(error)) }
        server.gateway.send("DELETE", "/api/conversations/\(id)", body: nil, requestID: request.id) { result in
          // Gone there, or never there: until then a repeated deletion must find its way.
          if case .success(let reply) = result, (200..<300).contains(reply.status) || reply.status == 404, conversations.servers.areNamed {
            service.displace(id, by: principal, requestID: request.id)
          }
          send(AgentServerAnswer(result, server.gateway).response)
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
  ///
  /// - Parameter chosen: the conversation's agent server; for a start the one that it gets unless it has one.
  private func departing(
    _ conversation: ConversationRequest, _ action: StaticString, to target: String, at chosen: AgentServers.Named, isStart: Bool = false,
    _ conversations: ConversationGateway, _ request: Request, _ principal: Principal
  ) -> Answer {
    let service = desk.service
    let place = isStart && conversations.servers.areNamed ? chosen.name : nil
    return .later { send in
      service.depart(
        conversation, action, lookups: conversations.lookups, agentServer: place, for: principal, requestID: request.id
      ) { result in
        let departing: DepartingRequest
        switch result {
        case .success(let ready): departing = ready
        case .failure(let error): return send(Failure.response(error))
        }
        guard let server = departing.agentServer.map({ conversations.servers.named($0) }) ?? chosen else {
          return send(Failure.response(.absent(.agentServer, departing.agentServer ?? "")))
        }
        server.gateway.send("POST", target, body: departing.body, requestID: request.id) { result in
          let answer = AgentServerAnswer(result, server.gateway, for: departing, isStart: isStart)
          // A repeated start may go to another.
          if answer.isInVain, departing.isPlaced { service.displace(departing.conversation, by: principal, requestID: request.id) }
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

/// `agent_server=NAME` in a query: one of several agent servers, for a start or for what belongs to no conversation.
enum AgentServerQuery {
  private static let name = "agent_server="

  /// nil when the query names none.
  static func named(in query: String, _ conversations: ConversationGateway) throws(ServiceError) -> AgentServers.Named? {
    guard let found = query.split(separator: "&").first(where: { $0.hasPrefix(name) }) else { return nil }
    let wanted = String(found.dropFirst(name.utf8.count))
    guard let server = conversations.servers.named(wanted) else { throw .absent(.agentServer, wanted) }
    return server
  }

  static func removed(from query: String) -> String {
    query.split(separator: "&").filter { !$0.hasPrefix(name) }.joined(separator: "&")
  }
}
