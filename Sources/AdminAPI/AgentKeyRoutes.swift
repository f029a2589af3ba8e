internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON

/// Keys of agents and invites (scoped spec, section 10).
extension AdminAPI {
  func agentKeys(_ tenant: String, _ agent: String, _ request: Request) throws(AdminFailure) -> Response {
    // In the store they have no prefix.
    try list(request, id: { String($0.id.dropFirst(4)) }, json: \.json) { query throws(ScopedFailure) in
      try desk.agentKeys(tenant: tenant, agent: agent, after: query.after, limit: query.fetched)
    }
  }

  func createAgentKey(_ tenant: String, _ agent: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let plan = try StructureBody(request).key(now: desk.service.now())
    return shown(tenant, request, principal) { change in
      let made = try change.issueKey(plan, agent: agent)
      return ShownKey(key: ShownKey.Text(made), members: made.view.json)
    }
  }

  func rotateAgentKey(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    var grace: Int64 = 86_400
    if !request.body.isEmpty, let value = try StructureBody(request).object["graceSeconds"], !value.isNull {
      guard let seconds = value.number?.int64, (0...2_592_000).contains(seconds) else {
        throw .refused(.invalid("/graceSeconds", "an integer from 0 to 2592000"))
      }
      grace = seconds
    }
    let (agent, key, seconds) = (parameters[1], parameters[2], grace)
    return shown(tenant, request, principal) { change in
      let made = try change.rotateKey(key, agent: agent, graceSeconds: seconds)
      var members = made.new.view.json
      members["replaces"] = .object(made.old.json)
      return ShownKey(key: ShownKey.Text(made.new), members: members)
    }
  }

  func revokeAgentKey(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) -> Answer {
    let (agent, key) = (parameters[1], parameters[2])
    return structure(tenant, request, principal) { change in .object(try change.revokeKey(key, agent: agent).json) }
  }

  // MARK: - Invites

  func invites(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    try list(request, id: \.id, json: \.json) { query throws(ScopedFailure) in
      try desk.invites(tenant: tenant, after: query.after, limit: query.fetched)
    }
  }

  func createInvite(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let plan = try StructureBody(request).invite(now: desk.service.now())
    return shown(tenant, request, principal) { change in
      let made = try change.createInvite(plan.label, plan.memberships, expiresAt: plan.expiresAt, maxUses: plan.maxUses)
      return ShownKey(key: ShownKey.Text(name: "inviteToken", text: made.token), members: made.row.json)
    }
  }

  func revokeInvite(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) -> Answer {
    structure(tenant, request, principal) { change in .object(try change.revokeInvite(id).json) }
  }
}

/// An answer that may show a key, this once.
struct ShownKey: Sendable {
  struct Text: Sendable {
    let name: StaticString
    let text: SecretBytes

    init(name: StaticString, text: SecretBytes) {
      self.name = name
      self.text = text
    }

    init(_ key: IssuedKey) { self.init(name: "key", text: key.text) }
  }

  let key: Text?
  let members: JSONObject

  /// The key's text needs no escapes: it is made of letters, digits and underscores.
  func response(_ request: Request, at now: Int64) -> Response {
    var writer = JSONWriter(reserving: 4096)
    writer.appendRaw("{\"data\":")
    writer.append(.object(members))
    var bytes = writer.bytes
    if let key {
      bytes.removeLast()
      bytes.append(contentsOf: ",\"\(key.name)\":\"".utf8)
      key.text.withBytes { text in unsafe text.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
      bytes.append(contentsOf: "\"}".utf8)
    }
    let tail: JSONValue = ["requestId": AdminRendering.text(request.id), "timestamp": AdminRendering.time(now)]
    bytes.append(UInt8(ascii: ","))
    bytes.append(contentsOf: tail.serialized().dropFirst())
    defer { erase(&bytes) }
    return Response(status: Status(201), contentType: "application/json", body: .secret(SecretBytes(copying: bytes)))
  }
}
