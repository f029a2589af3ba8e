internal import ArgumentParser
internal import HTTPMessages
internal import Model
internal import StrictJSON

struct Canary: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canary", abstract: "Mark secrets that nobody uses: whoever reads one raises an alert.",
    discussion: """
      A canary looks like any other secret to those who read it. Each reading is a line of level error in cofferd's log, a figure in \
      its metrics, and an entry in the audit chain that says who it was.
      """, subcommands: [List.self, Mark.self, Unmark.self])

  /// A custom secret by its name, or one of an agent's scopes.
  struct Place: ParsableArguments {
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The name of a custom secret; or the scope (org, team, project, agent), its id, and the secret's id.")
    var place: [String]

    func validate() throws {
      switch place.count {
      case 1:
        guard SecretName(Array(place[0].utf8)) != nil else {
          throw ValidationError("a custom secret's name is a letter, then letters, digits and underscores, 64 at most")
        }
      case 3:
        guard SecretMetadata.Kind(rawValue: place[0]) != nil else { throw ValidationError("a scope is org, team, project or agent") }
        try IDRule.check(place[1])
        try NameRule.secret(place[2])
      default: throw ValidationError("name a custom secret, or a scope, its id and a secret")
      }
    }

    var path: String { "/canaries/" + (place.count == 1 ? "settings/" : "") + place.joined(separator: "/") }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the canaries of a tenant, and how often each was read since it was marked.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws {
      try tenant.list("/canaries", asJSON: json.isOn, ["dialect", "name", "scope", "scopeId", "secretId", "alerts", "lastAlertAt"])
    }
  }

  struct Mark: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Mark a secret. Marking it again begins its count at zero.")
    @OptionGroup var secret: Place

    func run() throws {
      try secret.tenant.send(.put, secret.path)
      print("\(secret.place.joined(separator: "/")) is a canary")
    }
  }

  struct Unmark: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take the mark away.")
    @OptionGroup var secret: Place

    func run() throws {
      try secret.tenant.send(.delete, secret.path)
      print("\(secret.place.joined(separator: "/")) is no canary any more")
    }
  }
}
