internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct AgentAccount: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent", abstract: "Make, list and change agents, switch them off and on, explain what they may do.",
    subcommands: [
      Create.self, List.self, Show.self, Rename.self, Describe.self, Disable.self, Enable.self, Delete.self, Access.self, AgentKey.self,
    ])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make an agent and print its id.", discussion: "A key for it: coffer agent key create ID")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag
    @Argument(help: "The agent's name.") var name: String
    @Option(help: "What it is for.") var description: String?

    func run() throws {
      let body = JSONObject([("name", .text(name)), ("description", description.map(JSONValue.text))])
      tenant.show(made: try tenant.send(.post, "/agents", body), asJSON: json.isOn)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the agents.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws { try tenant.list("/agents", asJSON: json.isOn, ["id", "status", "name"]) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what is known of an agent, as JSON.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws { Output.line(try tenant.send(.get, "/agents/\(id)")) }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give an agent another name.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String
    @Argument(help: "The new name.") var name: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.patch, "/agents/\(id)", JSONObject([("name", .text(name))]))
      print("agent \(id) is now \(name)")
    }
  }

  struct Describe: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say what an agent is for, in place of what was said before.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String
    @Argument(help: "The new description; '' for none.") var description: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.patch, "/agents/\(id)", JSONObject([("description", .text(description))]))
      print("agent \(id) is described anew")
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete an agent: its keys are refused at once, and it is in no scope any more.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.delete, "/agents/\(id)")
      print("agent \(id) is deleted")
    }
  }

  struct Disable: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Refuse every key of an agent from its next request on.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.post, "/agents/\(id)/disable")
      print("agent \(id) is disabled")
    }
  }

  struct Enable: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take an agent's keys again.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.post, "/agents/\(id)/enable")
      print("agent \(id) is enabled")
    }
  }

  struct Access: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Explain what an agent may do in each scope, and why; as JSON.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      let answer = try AdminClient.send(
        .get, "/admin/v1/tenants/\(tenant.tenant)/agents/\(id)/access", directory: Folder.absolute(tenant.directory.path))
      print(String(decoding: (answer["data"] ?? .null).serialized(), as: UTF8.self))
    }
  }
}
