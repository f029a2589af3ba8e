internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// Makes what a declaration names and is not there yet, and changes what differs. Nothing is deleted. It can be repeated: a
/// second run finds everything as it should be.
struct DeclaredStructure {
  let directory: String

  /// A line for each thing made or changed.
  func apply(_ declaration: Declaration, _ tell: (String) -> Void) throws {
    let found = try declaration.tenants.map(found)
    for (tenant, found) in zip(declaration.tenants, found) { try Self.judge(tenant, found) }
    for (tenant, found) in zip(declaration.tenants, found) { try apply(tenant, found, tell) }
  }

  /// Whether a store that holds nothing can take it: asked before there is one.
  static func judgeAlone(_ declaration: Declaration) throws {
    for tenant in declaration.tenants { try judge(tenant, Found()) }
  }

  /// What of a tenant was there before anything was made.
  private struct Found {
    var id: String?
    var settings = Model.TenantSettings()
    /// By name, those that the declaration names.
    var rows: [Declaration.List: [String: JSONObject]] = [:]
    /// Of all rows. Only lists that the declaration names something of are counted.
    var counts: [Declaration.List: Int] = [:]
    /// By the agent's name.
    var memberships: [String: [MembershipPlan]] = [:]
  }

  /// A name that several have says nothing: it is refused.
  private func found(_ tenant: Declaration.Tenant) throws -> Found {
    var found = Found(id: try known(tenant.name))
    guard let id = found.id else { return found }
    let settings = try send(.get, "/tenants/\(id)/settings")
    guard (try? found.settings.apply(settings)) != nil else { throw Trouble("the answer holds no settings") }
    for list in Declaration.List.allCases {
      let names = Set(tenant.names(list))
      if names.isEmpty { continue }
      let rows = try rows("/tenants/\(id)/\(list.rawValue)")
      found.counts[list] = rows.count
      for row in rows {
        guard let name = row["name"]?.string?.text, names.contains(name) else { continue }
        guard found.rows[list, default: [:]].updateValue(row, forKey: name) == nil else {
          throw Trouble("several \(list.rawValue) have the name \(name); rename all but one")
        }
      }
    }
    for agent in tenant.agents where !agent.memberships.isEmpty {
      guard let row = found.rows[.agents]?[agent.name] else { continue }
      found.memberships[agent.name] = try rows("/tenants/\(id)/agents/\(self.id(of: row))/memberships").compactMap {
        try? MembershipPlan($0, pointer: "", after: .min)
      }
    }
    return found
  }

  // MARK: - What the routes would refuse in the middle

  private static func judge(_ tenant: Declaration.Tenant, _ found: Found) throws {
    let settings = try tenant.settings(over: found.settings)
    for list in Declaration.List.allCases {
      let (name, limit) = quota(of: list, settings)
      let new = tenant.names(list).count { found.rows[list]?[$0] == nil }
      let count = found.counts[list] ?? 0
      guard new == 0 || count + new <= limit else {
        throw Trouble("\(tenant.place)/\(list.rawValue): \(new) to be made and \(count) there are more than \(name) allows: \(limit)")
      }
    }
    let now = Moment.milliseconds()
    for agent in tenant.agents {
      for member in agent.memberships {
        let id = found.rows[member.kind.list]?[member.name]?["id"]?.string?.text
        let plan = member.plan(in: id ?? "")
        guard plan.expiresAt.map({ $0 > now }) ?? true || found.memberships[agent.name]?.contains(plan) == true else {
          throw Trouble("\(member.place)/expiresAt is over; leave the membership out, or give it a time in the future")
        }
      }
    }
  }

  private static func quota(of list: Declaration.List, _ settings: Model.TenantSettings) -> (name: String, limit: Int64) {
    switch list {
    case .teams: ("maxTeams", settings.maxTeams)
    case .projects: ("maxProjects", settings.maxProjects)
    case .agents: ("maxAgents", settings.maxAgents)
    }
  }

  // MARK: - Making and changing

  private func apply(_ tenant: Declaration.Tenant, _ found: Found, _ tell: (String) -> Void) throws {
    let id = try found.id ?? made(tenant: tenant.name, tell)
    let known = found.settings.json
    let changes = try tenant.settings(over: found.settings).json.members.filter { known[$0.name] != $0.value }
    if !changes.isEmpty {
      _ = try send(.patch, "/tenants/\(id)/settings", JSONObject(uniqueMembers: changes))
      tell("settings of \(tenant.name): \(changes.map(\.name.text).joined(separator: ", "))")
    }
    var teams: [String: String] = [:]
    for team in tenant.teams {
      teams[team] = try self.id(of: made(.teams, team, found, in: id, JSONObject([("name", .text(team))]), tell))
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
    let row = try made(.projects, project.name, found, in: tenant, body, tell)
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
    let row = try made(.agents, agent.name, found, in: tenant, body, tell)
    let id = try id(of: row)
    if let description = agent.description, row["description"]?.string?.text != description {
      _ = try send(.patch, "/tenants/\(tenant)/agents/\(id)", JSONObject([("description", .text(description))]))
      tell("description of \(agent.name)")
    }
    for member in agent.memberships {
      guard let place = places[member.kind]?[member.name] else { throw Trouble("the answer holds no id of \(member.name)") }
      let plan = member.plan(in: place)
      if found.memberships[agent.name]?.contains(plan) == true { continue }
      _ = try send(.put, "/tenants/\(tenant)/agents/\(id)/memberships/\(member.kind.rawValue)/\(place)", plan.json)
      let end = plan.expiresAt.map { " until " + Moment.text($0) } ?? ""
      tell("\(agent.name) is \(plan.role.rawValue) in \(member.kind.rawValue) \(member.name)\(end)")
    }
  }

  /// The row of that name, made when there is none.
  private func made(
    _ list: Declaration.List, _ name: String, _ found: Found, in tenant: String, _ body: JSONObject, _ tell: (String) -> Void
  ) throws -> JSONObject {
    if let row = found.rows[list]?[name] { return row }
    tell("\(list.rawValue.dropLast()) \(name)")
    return try send(.post, "/tenants/\(tenant)/\(list.rawValue)", body)
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
