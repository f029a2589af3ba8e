internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Team: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, list, rename and delete teams.", subcommands: [Create.self, List.self, Show.self, Rename.self, Delete.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a team and print its id.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag
    @Argument(help: "The team's name.") var name: String

    func run() throws { tenant.show(made: try tenant.send(.post, "/teams", JSONObject([("name", .text(name))])), asJSON: json.isOn) }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the teams.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws { try tenant.list("/teams", asJSON: json.isOn, ["id", "name"]) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what is known of a team, as JSON.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The team's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws { Output.line(try tenant.send(.get, "/teams/\(id)")) }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a team another name.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The team's id.") var id: String
    @Argument(help: "The new name.") var name: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.patch, "/teams/\(id)", JSONObject([("name", .text(name))]))
      print("team \(id) is now \(name)")
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a team; refused while it has secrets or projects, unless --cascade.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The team's id.") var id: String
    @Flag(help: "Delete its secrets too (they can be restored for some days) and let go of its projects.") var cascade = false

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.delete, "/teams/\(id)\(cascade ? "?cascade=true" : "")")
      print("team \(id) is deleted")
    }
  }
}
