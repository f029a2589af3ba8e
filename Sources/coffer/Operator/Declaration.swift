internal import Model
internal import StrictJSON

/// What `coffer init --from` reads: tenants with their settings, teams, projects, agents and memberships, by name.
///
/// `{"tenants":[{"name","settings"?,"teams"?:[NAME…],"projects"?:[{"name","team"?}…],"agents"?:[{"name","description"?,
/// "memberships"?:[{"team" or "project","role","priority"?}…]}…]}…]}`. The tenant `default` is the one that `init` makes. The whole
/// file is judged before anything is made.
struct Declaration {
  struct Tenant {
    let name: String
    let settings: JSONObject?
    let teams: [String]
    let projects: [(name: String, team: String?)]
    let agents: [Agent]
  }

  struct Agent {
    let name: String
    let description: String?
    let memberships: [Membership]
  }

  struct Membership {
    let kind: Member.Kind
    let name: String
    let role: Member.Role
    let priority: Int64?
  }

  let tenants: [Tenant]

  init(_ text: String) throws {
    let root: JSONValue
    do {
      root = try JSONValue.parse(Array(text.utf8), limits: JSONLimits(bytes: 4 << 20, depth: 16, members: 100_000))
    } catch { throw Trouble("the file is no JSON from byte \(error.offset) on") }
    tenants = try Reader(root, "", ["tenants"]).list("tenants").map { try Tenant($0) }
    try Self.demandUnique(tenants.map(\.name), "/tenants")
  }

  fileprivate static func demandUnique(_ names: [String], _ place: String) throws {
    var seen: Set<[UInt8]> = []
    for name in names where !seen.insert(Array(name.utf8)).inserted { throw Trouble("\(place) names \(name) twice") }
  }
}

extension Declaration.Tenant {
  fileprivate init(_ reader: Reader) throws {
    let object = try reader.allowing(["name", "settings", "teams", "projects", "agents"])
    name = try object.text("name")
    settings = try object.object("settings")
    var judged = Model.TenantSettings()
    do throws(Refusal) { try judged.apply(settings ?? JSONObject()) } catch {
      throw Trouble("\(object.place)/settings\(AdminClient.issues(in: error.details).joined())")
    }
    teams = try object.texts("teams")
    projects = try object.list("projects").map { project in
      let project = try project.allowing(["name", "team"])
      return (try project.text("name"), try project.optionalText("team"))
    }
    agents = try object.list("agents").map { try Declaration.Agent($0) }
    for (list, names) in [("teams", teams), ("projects", projects.map(\.name)), ("agents", agents.map(\.name))] {
      try Declaration.demandUnique(names, "\(object.place)/\(list)")
    }
    for (index, project) in projects.enumerated() {
      if let team = project.team, !teams.contains(team) {
        throw Trouble("\(object.place)/projects/\(index)/team names no team of this file")
      }
    }
    for (index, agent) in agents.enumerated() {
      for (number, member) in agent.memberships.enumerated() {
        let known = member.kind == .team ? teams : projects.map(\.name)
        guard known.contains(member.name) else {
          throw Trouble("\(object.place)/agents/\(index)/memberships/\(number) names no \(member.kind.rawValue) of this file")
        }
      }
    }
  }
}

extension Declaration.Agent {
  fileprivate init(_ reader: Reader) throws {
    let object = try reader.allowing(["name", "description", "memberships"])
    name = try object.text("name")
    description = try object.optionalText("description")
    memberships = try object.list("memberships").map { member in
      let member = try member.allowing(["team", "project", "role", "priority"])
      let (team, project) = (try member.optionalText("team"), try member.optionalText("project"))
      guard (team == nil) != (project == nil), let name = team ?? project else {
        throw Trouble("\(member.place) must name a team or a project")
      }
      guard let role = Member.Role(rawValue: try member.text("role")) else {
        throw Trouble("\(member.place)/role must be one of \(Member.Role.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return Declaration.Membership(
        kind: team == nil ? .project : .team, name: name, role: role, priority: try member.optionalInteger("priority"))
    }
  }
}

/// An object of the file with its JSON pointer: a fault is told by its place.
private struct Reader {
  let place: String
  private let object: JSONObject

  init(_ value: JSONValue, _ place: String, _ members: Set<String>? = nil) throws {
    guard let object = value.object else { throw Trouble("\(place.isEmpty ? "the file" : place) must hold a JSON object") }
    self.object = object
    self.place = place
    if let members { _ = try allowing(members) }
  }

  func allowing(_ members: Set<String>) throws -> Reader {
    for member in object.members where !members.contains(member.name.text) {
      throw Trouble("\(place)/\(member.name.text) is unknown; the members are \(members.sorted().joined(separator: ", "))")
    }
    return self
  }

  func optionalText(_ name: JSONString) throws -> String? {
    guard let value = object[name], !value.isNull else { return nil }
    guard let text = value.string?.text, !text.isEmpty else { throw Trouble("\(place)/\(name.text) must be a text") }
    return text
  }

  func text(_ name: JSONString) throws -> String {
    guard let text = try optionalText(name) else { throw Trouble("\(place)/\(name.text) is missing") }
    return text
  }

  func optionalInteger(_ name: JSONString) throws -> Int64? {
    guard let value = object[name], !value.isNull else { return nil }
    guard let number = value.number?.int64 else { throw Trouble("\(place)/\(name.text) must be an integer") }
    return number
  }

  func object(_ name: JSONString) throws -> JSONObject? {
    guard let value = object[name], !value.isNull else { return nil }
    guard let object = value.object else { throw Trouble("\(place)/\(name.text) must be an object") }
    return object
  }

  private func values(_ name: JSONString) throws -> [JSONValue] {
    guard let value = object[name], !value.isNull else { return [] }
    guard let list = value.array else { throw Trouble("\(place)/\(name.text) must be a list") }
    return list
  }

  func list(_ name: JSONString) throws -> [Reader] {
    try values(name).enumerated().map { try Reader($1, "\(place)/\(name.text)/\($0)") }
  }

  func texts(_ name: JSONString) throws -> [String] {
    try values(name).enumerated().map { index, value in
      guard let text = value.string?.text, !text.isEmpty else { throw Trouble("\(place)/\(name.text)/\(index) must be a text") }
      return text
    }
  }
}
