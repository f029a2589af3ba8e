internal import KeyRing
package import Model
package import SecretMemory
internal import Store
package import StrictJSON

/// How secrets of a conversation reach the agent server.
package struct ConversationLookups: Sendable {
  /// Where an agent server reaches this one; without a slash at its end.
  package let url: String
  /// Values that clients bring are kept here and looked up, instead of being sent along.
  package let takesValues: Bool

  package init(url: String, takesValues: Bool) {
    self.url = url
    self.takesValues = takesValues
  }
}

/// A request that may leave: its audit entry is durable.
package struct DepartingRequest: Sendable {
  package let conversation: String
  package let body: SecretBytes
  /// The token made for it; nil when nothing in it is looked up.
  package let keyID: String?
  /// The name of the agent server that the conversation has; nil when it was asked for none.
  package let agentServer: String?
  /// It was given to that agent server just now.
  package let isPlaced: Bool
  /// The texts that were opened here: no answer may show them.
  package let opened: [JSONString]
  /// Every secret text of the body: no refusal may show one.
  package let secrets: [JSONString]
  /// What the answer's `launched_agent_profile` should say; nil unless an agent profile was launched.
  package let launchedProfile: JSONValue?
}

extension Desk {
  /// Reads a start with its tokens opened, and an agent profile's settings in the place of its id.
  package func starting(_ body: JSONValue, for principal: Principal) throws(ServiceError) -> ConversationRequest {
    try principal.demand(.converse)
    let service = service
    let freshID = try service.freshUUID()
    let request = try Self.mapped { () throws(ConversationRequest.Failure) in
      try ConversationRequest(starting: body, freshID: freshID, now: service.time, opening: { service.opened($0) })
    }
    guard let id = request.agentProfile else { return request }
    let list = try service.agentProfiles(tenant: principal.tenant, in: reader)
    guard let profile = list.profiles.first(where: { $0.id == id }) else { throw .absent(.agentProfileID, id) }
    let result = try materialization(profile, tenant: principal.tenant)
    guard let settings = result.agentSettings else {
      throw .unusableAgentProfile(name: profile.name, reasons: result.errors, dangling: result.dangling)
    }
    return request.launching(settings, of: profile)
  }

  package func addingSecrets(_ body: JSONValue, to conversation: String, for principal: Principal) throws(ServiceError)
    -> ConversationRequest
  {
    try principal.demand(.converse)
    let service = service
    return try Self.mapped { () throws(ConversationRequest.Failure) in
      try ConversationRequest(secrets: body, conversation: conversation, opening: { service.opened($0) })
    }
  }

  package func switching(_ body: JSONValue, of conversation: String, for principal: Principal) throws(ServiceError) -> ConversationRequest {
    try principal.demand(.converse)
    let service = service
    return try Self.mapped { () throws(ConversationRequest.Failure) in
      try ConversationRequest(switching: body, conversation: conversation, opening: { service.opened($0) })
    }
  }

  /// `switch_llm` to a profile of this store; nil when there is none of that name.
  package func switching(toProfile name: String, of conversation: String, for principal: Principal) throws(ServiceError)
    -> ConversationRequest?
  {
    try principal.demand(.converse)
    do throws(ServiceError) {
      let llm = try service.loadedProfile(name, tenant: principal.tenant, in: reader)
      return ConversationRequest(switchingTo: llm, conversation: conversation)
    } catch {
      if case .absent = error { return nil }
      throw error
    }
  }

  private static func mapped<T>(_ body: () throws(ConversationRequest.Failure) -> T) throws(ServiceError) -> T {
    do { return try body() } catch {
      switch error {
      case .body(let issues): throw .invalidBody(issues)
      case .tokensDoNotOpen(let pointers): throw .tokensDoNotOpen(pointers)
      }
    }
  }
}

extension Service {
  /// Records what was opened for a conversation and makes the token for what it looks up; the request may leave once
  /// `completion` is called.
  ///
  /// - Parameter agentServer: the agent server's name for a new conversation, unless it has one already; nil = nothing is chosen.
  package func depart(
    _ request: ConversationRequest, _ action: StaticString, lookups: ConversationLookups, agentServer: String? = nil,
    for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<DepartingRequest, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        var event = AuditEvent(action, subject: request.conversation, details: Self.details(request))
        let (body, key) = try self.withLookups(request, lookups, &event, for: principal, in: transaction)
        let (server, placed) =
          try agentServer.map { try self.place(request.conversation, at: $0, tenant: principal.tenant, in: transaction) } ?? (nil, nil)
        event.rows += placed.map { [$0] } ?? []
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        var bytes = JSONValue.object(body.body).serialized()
        defer { erase(&bytes) }
        return DepartingRequest(
          conversation: request.conversation, body: SecretBytes(copying: bytes), keyID: key?.id, agentServer: server,
          isPlaced: placed != nil,
          opened: request.opened.map(\.text) + (key.map { [$0.token] } ?? []), secrets: (request.secrets + body.secrets).map(\.text),
          launchedProfile: request.launchedProfile)
      }, completion: completion)
  }

  /// Which places were opened: names, never values. A body may hold thousands; an entry tells of as many as fit a page.
  private static func details(_ request: ConversationRequest) -> String {
    let shown = request.opened.prefix(200).map { JSONValue.string(JSONString(String($0.pointer.prefix(256)))) }
    var object: JSONObject = JSONObject()
    object["opened"] = .array(shown)
    if request.opened.count > shown.count { object["more"] = .number(JSONNumber(request.opened.count - shown.count)) }
    return String(decoding: JSONValue.object(object).serialized(), as: UTF8.self)
  }

  private func withLookups(
    _ request: ConversationRequest, _ lookups: ConversationLookups, _ event: inout AuditEvent, for principal: Principal,
    in transaction: any StoreTransaction
  ) throws -> (ConversationRequest, (id: String, token: JSONString)?) {
    var grant = ConversationGrant(createdAt: now(), expiresAt: now() + options.conversationLife)
    func wanted(_ source: JSONValue) -> ConversationSecrets.Lookup? {
      switch ConversationSecrets.lookup(source) {
      case .value? where !lookups.takesValues: nil
      case let lookup: lookup
      }
    }
    var request = request
    var isNeeded = false
    request.replaceSources { _, source in
      isNeeded = isNeeded || wanted(source) != nil
      return nil
    }
    guard isNeeded else { return (request, nil) }
    let maker = KeyMaker(vault: vault, now: now)
    let key = try maker.insertKey(
      .conversation, role: request.conversation, tenant: principal.tenant, name: "made for a conversation", expiresAt: nil, in: transaction)
    let token = key.token.withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) }
    let conversation = request.conversation
    request.replaceSources { name, source in
      switch wanted(source) {
      case nil: return nil
      case .stored(let secret)?:
        if !grant.names.contains(secret.text) { grant.names.append(secret.text) }
        return ConversationSecrets.source(source, url: lookups.url + "/api/settings/secrets/" + secret.text, token: token)
      case .value(let text)?:
        grant.values.append(.init(name: name, text: text))
        let url = "\(lookups.url)/api/conversations/\(conversation)/secrets/\(grant.values.count - 1)"
        return ConversationSecrets.source(source, url: url, token: token)
      }
    }
    let row = try put(
      grant, ConversationGrant.name(conversation, key.row.id), after: nil, tenant: principal.tenant, in: transaction)
    event.rows += [RowChange(key.row), RowChange(row)]
    return (request, (key.row.id, token))
  }
}
