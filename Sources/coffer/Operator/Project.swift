internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Project: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, list, rename, move and delete projects.",
    subcommands: [Create.self, List.self, Show.self, Rename.self, Move.self, Delete.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a project and print its id.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag
    @Argument(help: "The project's name.") var name: String
    @Option(help: "Id of the team it belongs to.") var team: String?

    func run() throws {
      let body = JSONObject([("name", .text(name)), ("teamId", team.map(JSONValue.text))])
      tenant.show(made: try tenant.send(.post, "/projects", body), asJSON: json.isOn)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the projects.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws { try tenant.list("/projects", asJSON: json.isOn, ["id", "teamId", "name"]) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what is known of a project, as JSON.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The project's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws { Output.line(try tenant.send(.get, "/projects/\(id)")) }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a project another name.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The project's id.") var id: String
    @Argument(help: "The new name.") var name: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.patch, "/projects/\(id)", JSONObject([("name", .text(name))]))
      print("project \(id) is now \(name)")
    }
  }

  struct Move: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Put a project under another team, or under none: what its agents inherit changes.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The project's id.") var id: String
    @Option(help: "Id of the team; none without it.") var team: String?

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.patch, "/projects/\(id)", JSONObject([("teamId", team.map(JSONValue.text) ?? .null)]))
      print("project \(id) belongs to \(team ?? "no team")")
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Delete a project; refused while it has secrets, unless --cascade.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The project's id.") var id: String
    @Flag(help: "Delete its secrets too; they can be restored for some days.") var cascade = false

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.delete, "/projects/\(id)\(cascade ? "?cascade=true" : "")")
      print("project \(id) is deleted")
    }
  }
}
