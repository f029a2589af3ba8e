internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Member: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let agents into teams and projects, and out of them.", subcommands: [Add.self, Remove.self, List.self])

  enum Role: String, ExpressibleByArgument, CaseIterable { case observer, reader, depositor, writer, manager }
  enum Kind: String, ExpressibleByArgument, CaseIterable { case team, project }

  struct Place: ParsableArguments {
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var agent: String
    @Argument(help: "team or project.") var scope: Kind
    @Argument(help: "Id of the team or project.") var scopeID: String

    func validate() throws {
      try IDRule.check(agent)
      try IDRule.check(scopeID)
    }

    var path: String { "/agents/\(agent)/memberships/\(scope.rawValue)/\(scopeID)" }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give an agent a role in a team or project, or change it.",
      discussion: """
        observer lists and sees the history; reader reads and opens too; depositor lists and writes what it cannot read back; writer \
        reads and writes; manager deletes too.
        """)
    @OptionGroup var place: Place
    @Option(help: "observer, reader, depositor, writer or manager.") var role: Role
    @Option(help: "Which of several scopes of one level wins when a secret is resolved: the higher number.") var priority: Int?
    @Option(help: "When it ends: RFC 3339, as in 2027-01-31T00:00:00.000Z.") var expiresAt: String?

    func run() throws {
      let body = JSONObject([
        ("role", .text(role.rawValue)), ("priority", priority.map { .number(JSONNumber($0)) }),
        ("expiresAt", expiresAt.map(JSONValue.text)),
      ])
      try place.tenant.send(.put, place.path, body)
      print("\(place.agent) is \(role.rawValue) in \(place.scope.rawValue) \(place.scopeID)")
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take an agent out of a team or project.")
    @OptionGroup var place: Place

    func run() throws {
      try place.tenant.send(.delete, place.path)
      print("\(place.agent) is no member of \(place.scope.rawValue) \(place.scopeID)")
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List an agent's memberships.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag
    @Argument(help: "The agent's id.") var agent: String

    func validate() throws { try IDRule.check(agent) }
    func run() throws {
      try tenant.list("/agents/\(agent)/memberships", asJSON: json.isOn, ["scope", "scopeId", "role", "priority", "expiresAt"])
    }
  }
}
