internal import HTTPMessages
internal import Model
internal import Service
internal import Store
internal import StrictJSON

/// Settings, teams, projects, agents and their places (scoped spec, section 10).
extension AdminAPI {
  // MARK: - Settings

  func tenantSettings(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    ok(.object(try refused { () throws(ScopedFailure) in try desk.settings(tenant: tenant) }.json), request)
  }

  func changeTenantSettings(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let changes = try StructureBody(request).object
    return structure(tenant, request, principal) { change in .object(try change.changeSettings(changes).json) }
  }

  // MARK: - Teams

  func teams(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    try list(request, id: \.id, json: \.json) { query throws(ScopedFailure) in
      try desk.teams(tenant: tenant, after: query.after, limit: query.fetched)
    }
  }

  func team(_ tenant: String, _ id: String, _ request: Request) throws(AdminFailure) -> Response {
    ok(.object(try refused { () throws(ScopedFailure) in try desk.team(tenant: tenant, id: id) }.json), request)
  }

  func createTeam(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let name = try StructureBody(request).name()
    return structure(tenant, request, principal, status: 201) { change in .object(try change.createTeam(name).json) }
  }

  func renameTeam(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let name = try StructureBody(request).name()
    return structure(tenant, request, principal) { change in .object(try change.renameTeam(id, to: name).json) }
  }

  func deleteTeam(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    try delete(tenant, id, request, principal) { change, cascades in try change.deleteTeam(id, cascades: cascades) }
  }

  // MARK: - Projects

  func projects(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    try list(request, id: \.id, json: \.json) { query throws(ScopedFailure) in
      try desk.projects(tenant: tenant, after: query.after, limit: query.fetched)
    }
  }

  func project(_ tenant: String, _ id: String, _ request: Request) throws(AdminFailure) -> Response {
    ok(.object(try refused { () throws(ScopedFailure) in try desk.project(tenant: tenant, id: id) }.json), request)
  }

  func createProject(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let body = try StructureBody(request)
    let (name, team) = (try body.name(), try body.optionalText("teamId") ?? nil)
    return structure(tenant, request, principal, status: 201) { change in .object(try change.createProject(name, team: team).json) }
  }

  func changeProject(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let body = try StructureBody(request)
    let name = body.object["name"] == nil ? nil : try body.name()
    let team = try body.optionalText("teamId")
    return structure(tenant, request, principal) { change in .object(try change.changeProject(id, name: name, team: team).json) }
  }

  func deleteProject(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    try delete(tenant, id, request, principal) { change, cascades in try change.deleteProject(id, cascades: cascades) }
  }

  // MARK: - Agents

  func agents(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    try list(request, id: \.id, json: \.json) { query throws(ScopedFailure) in
      try desk.agents(tenant: tenant, after: query.after, limit: query.fetched)
    }
  }

  func agent(_ tenant: String, _ id: String, _ request: Request) throws(AdminFailure) -> Response {
    ok(.object(try refused { () throws(ScopedFailure) in try desk.agent(tenant: tenant, id: id) }.json), request)
  }

  func createAgent(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let body = try StructureBody(request)
    let name = try body.name()
    let description = (try body.optionalText("description") ?? nil) ?? ""
    let key = try body.issuedKey(named: name, now: desk.service.now())
    return shown(tenant, request, principal) { change in
      let made = try change.createAgent(name, description: description, key: key)
      var members = made.agent.json
      if let key = made.key {
        members["keyId"] = AdminRendering.text(key.view.id)
        members["keyExpiresAt"] = key.view.expiresAt.map(AdminRendering.time) ?? .null
      }
      return ShownKey(key: made.key.map(ShownKey.Text.init), members: members)
    }
  }

  func changeAgent(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let body = try StructureBody(request)
    let name = body.object["name"] == nil ? nil : try body.name()
    let description = try body.optionalText("description").map { $0 ?? "" }
    return structure(tenant, request, principal) { change in
      .object(try change.changeAgent(id, name: name, description: description).json)
    }
  }

  func setAgent(_ tenant: String, _ id: String, isDisabled: Bool, _ request: Request, _ principal: Principal) -> Answer {
    structure(tenant, request, principal) { change in .object(try change.setAgent(id, isDisabled: isDisabled).json) }
  }

  func deleteAgent(_ tenant: String, _ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    try delete(tenant, id, request, principal) { change, cascades in try change.deleteAgent(id, cascades: cascades) }
  }

  func access(_ tenant: String, _ id: String, _ request: Request) throws(AdminFailure) -> Response {
    let (access, disabledAt) = try refused { () throws(ScopedFailure) in try desk.access(tenant: tenant, agent: id) }
    let scopes: [JSONValue] = access.grants.map { grant in
      [
        "scope": AdminRendering.text(grant.scope.kind.rawValue), "scopeId": AdminRendering.text(grant.scope.id),
        "name": AdminRendering.text(grant.name), "role": AdminRendering.text(grant.role.rawValue),
        "via": AdminRendering.text(grant.via), "priority": .number(JSONNumber(grant.priority)),
        "capabilities": .array(disabledAt == nil ? grant.rights.names.map(AdminRendering.text) : []),
      ]
    }
    return ok(
      [
        "agentId": AdminRendering.text(id), "disabled": .bool(disabledAt != nil),
        "disabledAt": disabledAt.map(AdminRendering.time) ?? .null, "scopes": .array(scopes),
      ], request)
  }

  // MARK: - Memberships

  func memberships(_ tenant: String, _ id: String, _ request: Request) throws(AdminFailure) -> Response {
    let rows = try refused { () throws(ScopedFailure) in try desk.memberships(tenant: tenant, agent: id) }
    return try page(of: rows, key: { "\($0.scope)/\($0.scopeID)" }, json: { .object($0.json) }, request)
  }

  func putMembership(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let scope = try Self.memberScope(parameters[2], parameters[3])
    let object = try StructureBody(request).object
    let plan: MembershipPlan
    do throws(Refusal) { plan = try MembershipPlan(object, scope: scope, pointer: "", after: desk.service.now()) } catch {
      throw .refused(error)
    }
    let agent = parameters[1]
    return structure(tenant, request, principal, statusOf: { $0.object?["created"] == true ? 201 : 200 }) { change in
      let isNew = try change.putMembership(plan, agent: agent)
      var object = JSONObject()
      object["agentId"] = AdminRendering.text(agent)
      for member in plan.json.members { object[member.name] = member.value }
      object["created"] = .bool(isNew)
      return .object(object)
    }
  }

  func removeMembership(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer
  {
    let scope = try Self.memberScope(parameters[2], parameters[3])
    let agent = parameters[1]
    return structure(tenant, request, principal) { change in
      try change.removeMembership(scope, agent: agent)
      return [
        "agentId": AdminRendering.text(agent), "scope": AdminRendering.text(scope.kind.rawValue),
        "scopeId": AdminRendering.text(scope.id), "removed": true,
      ]
    }
  }

  private static func memberScope(_ kind: String, _ id: String) throws(AdminFailure) -> Scope {
    guard let kind = ScopeKind(rawValue: kind), kind == .team || kind == .project, Scope.isID(id) else { throw .noRoute }
    return Scope(kind, id)
  }
}
