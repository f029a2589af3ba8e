internal import HTTPMessages
internal import StrictJSON

/// Makes what a declaration names and is not there yet, and changes what differs. Nothing is deleted. It can be repeated: a
/// second run finds everything as it should be.
struct DeclaredStructure {
  let directory: String

  /// A line for each thing made or changed.
  func apply(_ declaration: Declaration, _ tell: (String) -> Void) throws {
    for tenant in declaration.tenants { try judge(tenant) }
    for tenant in declaration.tenants { try apply(tenant, tell) }
  }

  /// Before anything is made: a name that several have says nothing.
  private func judge(_ tenant: Declaration.Tenant) throws {
    guard let id = try known(tenant.name) else { return }
    for (list, names) in [
      ("teams", tenant.teams), ("projects", tenant.projects.map(\.name)), ("agents", tenant.agents.map(\.name)),
    ] where !names.isEmpty {
      let found = try rows("/tenants/\(id)/\(list)").map { $0["name"]?.string?.text }
      for name in names where found.count(where: { $0 == name }) > 1 {
        throw Trouble("several \(list) have the name \(name); rename all but one")
      }
    }
  }

  private func apply(_ tenant: Declaration.Tenant, _ tell: (String) -> Void) throws {
    let id = try self.tenant(tenant.name, tell)
    if let settings = tenant.settings {
      let known = try send(.get, "/tenants/\(id)/settings")
      let changes = settings.members.filter { known[$0.name] != $0.value }
      if !changes.isEmpty {
        _ = try send(.patch, "/tenants/\(id)/settings", JSONObject(uniqueMembers: changes))
        tell("settings of \(tenant.name): \(changes.map(\.name.text).joined(separator: ", "))")
      }
    }
    var teams: [String: String] = [:]
    for team in tenant.teams { teams[team] = try self.id(of: made("teams", team, in: id, JSONObject([("name", .text(team))]), tell)) }
    var projects: [String: String] = [:]
    for project in tenant.projects {
      projects[project.name] = try self.project(project, team: project.team.flatMap { teams[$0] }, in: id, tell)
    }
    let places: [Member.Kind: [String: String]] = [.team: teams, .project: projects]
    for agent in tenant.agents { try self.agent(agent, places, in: id, tell) }
  }

  /// The id of a tenant that is there.
  private func known(_ name: String) throws -> String? {
    if name == "default" { return name }
    return try rows("/tenants").first { $0["name"]?.string?.text == name && $0["isDeleted"]?.bool != true }?["id"]?.string?.text
  }

  private func tenant(_ name: String, _ tell: (String) -> Void) throws -> String {
    if let id = try known(name) { return id }
    tell("tenant \(name)")
    return try id(of: send(.post, "/tenants", JSONObject([("name", .text(name))])))
  }

  private func project(_ project: (name: String, team: String?), team: String?, in tenant: String, _ tell: (String) -> Void) throws
    -> String
  {
    let body = JSONObject([("name", .text(project.name)), ("teamId", team.map(JSONValue.text))])
    let row = try made("projects", project.name, in: tenant, body, tell)
    let id = try id(of: row)
    if row["teamId"]?.string?.text != team {
      _ = try send(.patch, "/tenants/\(tenant)/projects/\(id)", JSONObject([("teamId", team.map(JSONValue.text) ?? .null)]))
      tell("project \(project.name) moved to \(project.team ?? "no team")")
    }
    return id
  }

  private func agent(_ agent: Declaration.Agent, _ places: [Member.Kind: [String: String]], in tenant: String, _ tell: (String) -> Void)
    throws
  {
    let body = JSONObject([("name", .text(agent.name)), ("description", agent.description.map(JSONValue.text))])
    let id = try id(of: try made("agents", agent.name, in: tenant, body, tell))
    let known = try rows("/tenants/\(tenant)/agents/\(id)/memberships")
    for member in agent.memberships {
      guard let place = places[member.kind]?[member.name] else { throw Trouble("the answer holds no id of \(member.name)") }
      let isThere = known.contains { row in
        row["scope"]?.string?.text == member.kind.rawValue && row["scopeId"]?.string?.text == place
          && row["role"]?.string?.text == member.role.rawValue && row["priority"]?.number?.int64 == member.priority ?? 0
      }
      if isThere { continue }
      let body = JSONObject([("role", .text(member.role.rawValue)), ("priority", .number(JSONNumber(member.priority ?? 0)))])
      _ = try send(.put, "/tenants/\(tenant)/agents/\(id)/memberships/\(member.kind.rawValue)/\(place)", body)
      tell("\(agent.name) is \(member.role.rawValue) in \(member.kind.rawValue) \(member.name)")
    }
  }

  /// The row of that name, made when there is none.
  private func made(_ list: String, _ name: String, in tenant: String, _ body: JSONObject, _ tell: (String) -> Void) throws -> JSONObject {
    if let row = try rows("/tenants/\(tenant)/\(list)").first(where: { $0["name"]?.string?.text == name }) { return row }
    tell("\(list.dropLast()) \(name)")
    return try send(.post, "/tenants/\(tenant)/\(list)", body)
  }

  private func id(of row: JSONObject) throws -> String {
    guard let id = row["id"]?.string?.text else { throw Trouble("the answer holds no id") }
    return id
  }

  private func send(_ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil) throws -> JSONObject {
    try AdminClient.send(method, "/admin/v1" + path, body: body.map(JSONValue.object), directory: directory)["data"]?.object ?? JSONObject()
  }

  private func rows(_ path: String) throws -> [JSONObject] {
    var rows: [JSONObject] = []
    try AdminList.all("/admin/v1" + path, directory: directory) { rows.append($0) }
    return rows
  }
}
