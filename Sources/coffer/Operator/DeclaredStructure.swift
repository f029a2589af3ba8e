internal import HTTPMessages
internal import StrictJSON

/// Makes what a declaration names and is not there yet, and changes what differs. Nothing is deleted. It can be repeated: a
/// second run finds everything as it should be.
struct DeclaredStructure {
  let directory: String

  /// A line for each thing made or changed.
  func apply(_ declaration: Declaration, _ tell: (String) -> Void) throws {
    let found = try declaration.tenants.map(found)
    for (tenant, found) in zip(declaration.tenants, found) { try apply(tenant, found, tell) }
  }

  /// What of a tenant was there before anything was made.
  private struct Found {
    var id: String?
    /// By list and name, those that the declaration names.
    var rows: [String: [String: JSONObject]] = [:]
  }

  /// A name that several have says nothing: it is refused.
  private func found(_ tenant: Declaration.Tenant) throws -> Found {
    var found = Found(id: try known(tenant.name))
    guard let id = found.id else { return found }
    for (list, names) in [
      ("teams", tenant.teams), ("projects", tenant.projects.map(\.name)), ("agents", tenant.agents.map(\.name)),
    ] where !names.isEmpty {
      let names = Set(names)
      for row in try rows("/tenants/\(id)/\(list)") {
        guard let name = row["name"]?.string?.text, names.contains(name) else { continue }
        guard found.rows[list, default: [:]].updateValue(row, forKey: name) == nil else {
          throw Trouble("several \(list) have the name \(name); rename all but one")
        }
      }
    }
    return found
  }

  private func apply(_ tenant: Declaration.Tenant, _ found: Found, _ tell: (String) -> Void) throws {
    let id = try found.id ?? made(tenant: tenant.name, tell)
    if let settings = tenant.settings {
      let known = try send(.get, "/tenants/\(id)/settings")
      let changes = settings.members.filter { known[$0.name] != $0.value }
      if !changes.isEmpty {
        _ = try send(.patch, "/tenants/\(id)/settings", JSONObject(uniqueMembers: changes))
        tell("settings of \(tenant.name): \(changes.map(\.name.text).joined(separator: ", "))")
      }
    }
    var teams: [String: String] = [:]
    for team in tenant.teams {
      teams[team] = try self.id(of: made("teams", team, found, in: id, JSONObject([("name", .text(team))]), tell))
    }
    var projects: [String: String] = [:]
    for project in tenant.projects {
      projects[project.name] = try self.project(project, team: project.team.flatMap { teams[$0] }, found, in: id, tell)
    }
    let places: [Member.Kind: [String: String]] = [.team: teams, .project: projects]
    for agent in tenant.agents { try self.agent(agent, places, found, in: id, tell) }
  }

  /// The id of a tenant that is there.
  private func known(_ name: String) throws -> String? {
    if name == "default" { return name }
    return try rows("/tenants").first { $0["name"]?.string?.text == name && $0["isDeleted"]?.bool != true }?["id"]?.string?.text
  }

  private func made(tenant name: String, _ tell: (String) -> Void) throws -> String {
    tell("tenant \(name)")
    return try id(of: send(.post, "/tenants", JSONObject([("name", .text(name))])))
  }

  private func project(_ project: (name: String, team: String?), team: String?, _ found: Found, in tenant: String, _ tell: (String) -> Void)
    throws -> String
  {
    let body = JSONObject([("name", .text(project.name)), ("teamId", team.map(JSONValue.text))])
    let row = try made("projects", project.name, found, in: tenant, body, tell)
    let id = try id(of: row)
    if row["teamId"]?.string?.text != team {
      _ = try send(.patch, "/tenants/\(tenant)/projects/\(id)", JSONObject([("teamId", team.map(JSONValue.text) ?? .null)]))
      tell("project \(project.name) moved to \(project.team ?? "no team")")
    }
    return id
  }

  private func agent(
    _ agent: Declaration.Agent, _ places: [Member.Kind: [String: String]], _ found: Found, in tenant: String, _ tell: (String) -> Void
  ) throws {
    let body = JSONObject([("name", .text(agent.name)), ("description", agent.description.map(JSONValue.text))])
    let id = try id(of: try made("agents", agent.name, found, in: tenant, body, tell))
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
  private func made(
    _ list: String, _ name: String, _ found: Found, in tenant: String, _ body: JSONObject, _ tell: (String) -> Void
  ) throws -> JSONObject {
    if let row = found.rows[list]?[name] { return row }
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
