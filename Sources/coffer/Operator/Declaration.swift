internal import AdminAPI
internal import Model
internal import Service
internal import StrictJSON

/// What `coffer init --from` reads: tenants with their settings, teams, projects, agents and memberships, by name.
///
/// `{"tenants":[{"name","settings"?,"teams"?:[NAME…],"projects"?:[{"name","team"?}…],"agents"?:[{"name","description"?,
/// "memberships"?:[{"team" or "project","role","priority"?,"expiresAt"?}…]}…]}…]}`. The tenant `default` is the one that `init`
/// makes. The whole file is judged before anything is made.
struct Declaration {
  /// What a tenant has by name.
  enum List: String, CaseIterable { case teams, projects, agents }

  struct Tenant {
    /// A JSON pointer.
    let place: String
    let name: String
    private let changes: JSONObject
    let teams: [String]
    let projects: [(name: String, team: String?)]
    let agents: [Agent]

    func names(_ list: List) -> [String] {
      switch list {
      case .teams: teams
      case .projects: projects.map(\.name)
      case .agents: agents.map(\.name)
      }
    }

    /// What its settings are to be, where `known` are those that it has.
    func settings(over known: Model.TenantSettings) throws -> Model.TenantSettings {
      var settings = known
      do throws(Refusal) { try settings.apply(changes) } catch { throw Trouble(error, in: place + "/settings") }
      return settings
    }
  }

  struct Agent {
    let name: String
    /// nil = whatever it is.
    let description: String?
    let memberships: [Membership]
  }

  struct Membership {
    let place: String
    let kind: Member.Kind
    let name: String
    private let plan: MembershipPlan

    func plan(in id: String) -> MembershipPlan {
      var plan = plan
      plan.scope = Model.Scope(plan.scope.kind, id)
      return plan
    }
  }

  let tenants: [Tenant]

  init(_ text: String) throws {
    let root: JSONValue
    do {
      root = try JSONValue.parse(Array(text.utf8), limits: JSONLimits(bytes: 4 << 20, depth: 16, members: 100_000))
    } catch { throw Trouble("the file is no JSON from byte \(error.offset) on") }
    tenants = try Reader(root, "").allowing(["tenants"]).list("tenants").map { try Tenant($0) }
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
    place = object.place
    name = try object.text("name")
    guard AdminBody.isName(name) else { throw Trouble("\(place)/name must be \(AdminBody.nameRule)") }
    changes = try object.object("settings") ?? JSONObject()
    teams = try object.titles("teams")
    projects = try object.list("projects").map { project in
      let project = try project.allowing(["name", "team"])
      return (try project.title("name"), try project.optionalTitle("team"))
    }
    agents = try object.list("agents").map { try Declaration.Agent($0) }
    _ = try settings(over: Model.TenantSettings())
    for list in Declaration.List.allCases { try Declaration.demandUnique(names(list), "\(place)/\(list.rawValue)") }
    for (index, project) in projects.enumerated() {
      if let team = project.team, !teams.contains(team) {
        throw Trouble("\(place)/projects/\(index)/team names no team of this file")
      }
    }
    for member in agents.flatMap(\.memberships) where !names(member.kind.list).contains(member.name) {
      throw Trouble("\(member.place) names no \(member.kind.rawValue) of this file")
    }
  }
}

extension Declaration.Agent {
  fileprivate init(_ reader: Reader) throws {
    let object = try reader.allowing(["name", "description", "memberships"])
    name = try object.title("name")
    description = try object.optionalText("description", maximum: ScopedNames.maximumDescription)
    memberships = try object.list("memberships").map { try Declaration.Membership($0) }
    try Declaration.demandUnique(memberships.map { "\($0.kind.rawValue) \($0.name)" }, "\(object.place)/memberships")
  }
}

extension Declaration.Membership {
  fileprivate init(_ reader: Reader) throws {
    let object = try reader.allowing(["team", "project", "role", "priority", "expiresAt"])
    place = object.place
    let (team, project) = (try object.optionalTitle("team"), try object.optionalTitle("project"))
    guard (team == nil) != (project == nil), let name = team ?? project else { throw Trouble("\(place) must name a team or a project") }
    self.name = name
    kind = team == nil ? .project : .team
    // The id is known once the team or project is there, and so is whether a time that is over is that of a membership from before.
    let scope = Model.Scope(team == nil ? .project : .team, "")
    do throws(Refusal) { plan = try MembershipPlan(object.object, scope: scope, pointer: place, after: .min) } catch {
      throw Trouble(error, in: "")
    }
  }
}

extension Member.Kind {
  var list: Declaration.List { self == .team ? .teams : .projects }
}

extension Trouble {
  /// A rule of the routes that a part of the file breaks.
  fileprivate init(_ refusal: Refusal, in place: String) {
    self.init(AdminClient.issues(in: refusal.details).map { place + $0 }.joined(separator: "; "))
  }
}

/// An object of the file with its JSON pointer: a fault is told by its place.
private struct Reader {
  let place: String
  let object: JSONObject

  init(_ value: JSONValue, _ place: String) throws {
    guard let object = value.object else { throw Trouble("\(place.isEmpty ? "the file" : place) must hold a JSON object") }
    self.object = object
    self.place = place
  }

  func allowing(_ members: Set<String>) throws -> Reader {
    for member in object.members where !members.contains(member.name.text) {
      throw Trouble("\(place)/\(member.name.text) is unknown; the members are \(members.sorted().joined(separator: ", "))")
    }
    return self
  }

  func optionalText(_ name: JSONString, maximum: Int = .max) throws -> String? {
    guard let value = object[name], !value.isNull else { return nil }
    guard let text = value.string?.text, text.unicodeScalars.count <= maximum else {
      throw Trouble("\(place)/\(name.text) must be a text" + (maximum < .max ? " of up to \(maximum) characters" : ""))
    }
    return text
  }

  func text(_ name: JSONString) throws -> String {
    guard let text = try optionalText(name) else { throw Trouble("\(place)/\(name.text) is missing") }
    return text
  }

  /// As the server keeps it: names are compared with those that are there.
  func optionalTitle(_ name: JSONString) throws -> String? { try optionalText(name).map { try Self.title($0, "\(place)/\(name.text)") } }

  func title(_ name: JSONString) throws -> String { try Self.title(try text(name), "\(place)/\(name.text)") }

  private static func title(_ text: String, _ place: String) throws -> String {
    guard let title = ScopedNames.title(text) else { throw Trouble("\(place) must be \(ScopedNames.titleRule)") }
    return title
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

  func titles(_ name: JSONString) throws -> [String] {
    try values(name).enumerated().map { index, value in
      guard let text = value.string?.text else { throw Trouble("\(place)/\(name.text)/\(index) must be a text") }
      return try Self.title(text, "\(place)/\(name.text)/\(index)")
    }
  }
}
