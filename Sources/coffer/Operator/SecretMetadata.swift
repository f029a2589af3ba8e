internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct SecretMetadata: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "secret", abstract: "See which secrets there are, restore deleted ones, destroy them. Never a value.",
    subcommands: [List.self, Show.self, Restore.self, Purge.self])

  struct Place: ParsableArguments {
    @OptionGroup var tenant: TenantOption
    @Argument(help: "org, team, project or agent.") var scope: Kind
    @Argument(help: "Id of the scope; for org that of the tenant.") var scopeID: String
    @Argument(help: "The secret's id.") var secret: String

    func validate() throws {
      try IDRule.check(scopeID)
      try NameRule.secret(secret)
    }

    var path: String { "/secrets/\(scope.rawValue)/\(scopeID)/\(secret)" }
  }

  enum Kind: String, ExpressibleByArgument, CaseIterable { case org, team, project, agent }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the secrets of a tenant.",
      discussion: "With --deleted the deleted ones too, each with its incarnation and the time until which it can be restored.")
    @OptionGroup var tenant: TenantOption
    @Flag(help: "Those that were deleted and can be restored too.") var deleted = false
    @OptionGroup var json: JSONFlag

    func run() throws {
      let columns: [JSONString] = ["scope", "scopeId", "secretId", "category", "updatedAt"]
      try tenant.list(
        deleted ? "/secrets?includeDeleted=true" : "/secrets", asJSON: json.isOn,
        deleted ? columns + ["incarnation", "purgeAfter"] : columns)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the metadata of a secret, as JSON.")
    @OptionGroup var place: Place

    func run() throws { Output.line(try place.tenant.send(.get, place.path)) }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Bring back a deleted secret; its id must be free.")
    @OptionGroup var place: Place
    @Option(help: "Which of several that were deleted under this id.") var incarnation: String?

    func run() throws {
      try place.tenant.send(.post, place.path + "/restore", JSONObject([("incarnation", incarnation.map(JSONValue.text))]))
      print("\(place.secret) is restored")
    }
  }

  struct Purge: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Destroy a deleted secret for good: nothing restores it but a backup.")
    @OptionGroup var place: Place
    @Option(help: "The secret's id once more.") var confirm: String

    func validate() throws {
      guard confirm == place.secret else { throw ValidationError("--confirm takes the secret's id; nothing was destroyed") }
    }

    func run() throws {
      try place.tenant.send(.post, place.path + "/purge?confirm=\(place.secret)")
      print("\(place.secret) is destroyed")
    }
  }
}
