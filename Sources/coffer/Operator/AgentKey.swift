internal import ArgumentParser
internal import HTTPMessages
internal import Model
internal import StrictJSON

/// Keys with which agents call the scoped dialect.
struct AgentKey: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make, list, replace and end the keys of an agent.",
    subcommands: [Create.self, List.self, Rotate.self, Revoke.self])

  enum Capability: String, ExpressibleByArgument, CaseIterable { case list, read, decrypt, write, delete, history }

  struct Owner: ParsableArguments {
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The agent's id.") var agent: String

    func validate() throws { try IDRule.check(agent) }
    var path: String { "/agents/\(agent)/keys" }
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key and print it once.", discussion: "Standard output holds the key alone: coffer agent key create ID > agent.key")
    @OptionGroup var owner: Owner
    @OptionGroup var json: JSONFlag
    @Option(help: "A name to know the key by.") var name = "made by coffer agent key create"
    @Option(help: "Lifetime: a number with s, m, h or d; 90d without it.") var expires: String?
    @Option(help: "Only these of the role's capabilities: list, read, decrypt, write, delete, history; may be given several times.")
    var capability: [Capability] = []
    @Option(help: "When it ends: RFC 3339, as in 2027-01-31T00:00:00.000Z; instead of --expires.") var expiresAt: String?
    @Option(help: "Only this of the agent's scopes, as org:ID, team:ID, project:ID or agent:ID; may be given several times.")
    var scope: [ScopeID] = []
    @Option(help: "Only secrets with this id; may be given several times.") var secret: [String] = []
    @Option(help: "Only from this network, as in 192.0.2.0/24, or address; may be given several times.") var cidr: [String] = []
    @Option(help: "Other budgets than the usual, as reads=50/200: a second, and at once; of reads, writes, dataKeys and lists.")
    var rate: [Rate] = []

    func validate() throws {
      if let expires, Key.Create.seconds(expires) == nil {
        throw ValidationError("--expires takes a number with s, m, h or d, at most 3650d")
      }
      guard expires == nil || expiresAt == nil else { throw ValidationError("a key has --expires or --expires-at, not both") }
      try secret.forEach(NameRule.secret)
      guard Set(rate.map(\.budget)).count == rate.count else { throw ValidationError("a budget has one --rate") }
    }

    func run() throws {
      let body = JSONObject([
        ("name", .text(name)), ("expiresIn", expires.flatMap(Key.Create.seconds).map { .number(JSONNumber($0)) }),
        ("expiresAt", expiresAt.map(JSONValue.text)),
        ("capabilities", capability.isEmpty ? nil : .array(capability.map { .text("secrets:" + $0.rawValue) })),
        ("scopes", scope.isEmpty ? nil : .array(scope.map(\.json))),
        ("secretIds", secret.isEmpty ? nil : .array(secret.map(JSONValue.text))),
        ("cidrs", cidr.isEmpty ? nil : .array(cidr.map(JSONValue.text))),
        ("rateLimit", rate.isEmpty ? nil : .object(JSONObject(rate.map { (JSONString($0.budget.rawValue), $0.json) }))),
      ])
      try ShownKey.print(try owner.tenant.send(.post, owner.path, body), asJSON: json.isOn)
    }
  }

  /// `team:ID`; no name, since two may have it.
  struct ScopeID: ExpressibleByArgument {
    let json: JSONValue

    init?(argument: String) {
      let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, let kind = ScopeKind(rawValue: parts[0]), Model.Scope.isID(parts[1]) else { return nil }
      json = Model.Scope(kind, parts[1]).json
    }
  }

  /// `BUDGET=PER_SECOND/BURST`. Which numbers may be, the server says; a budget that it does not know, it leaves unread.
  struct Rate: ExpressibleByArgument {
    let budget: RateClass
    let json: JSONValue

    init?(argument: String) {
      let sides = argument.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
      let numbers = sides.last?.split(separator: "/", omittingEmptySubsequences: false).map { Int64($0) }
      guard sides.count == 2, let budget = RateClass(rawValue: sides[0]), let numbers, numbers.count == 2, let perSecond = numbers[0],
        let burst = numbers[1]
      else { return nil }
      self.budget = budget
      json = .object(JSONObject([("perSecond", .number(JSONNumber(perSecond))), ("burst", .number(JSONNumber(burst)))]))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List an agent's keys: ids and state, never the keys themselves.")
    @OptionGroup var owner: Owner
    @OptionGroup var json: JSONFlag

    func run() throws { try owner.tenant.list(owner.path, asJSON: json.isOn, ["id", "status", "expiresAt", "lastUsedAt", "name"]) }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key in the place of another, which works on for a while; print the new one once.")
    @OptionGroup var owner: Owner
    @OptionGroup var json: JSONFlag
    @Argument(help: "The key's id.") var id: String
    @Option(help: "How long the old key works on: a number with s, m, h or d, or 0.") var grace = "1d"

    func validate() throws {
      try IDRule.check(id)
      guard grace == "0" || Key.Create.seconds(grace) != nil else {
        throw ValidationError("--grace takes a number with s, m, h or d, or 0")
      }
    }

    func run() throws {
      let body = JSONObject([("graceSeconds", .number(JSONNumber(Key.Create.seconds(grace) ?? 0)))])
      try ShownKey.print(try owner.tenant.send(.post, owner.path + "/\(id)/rotate", body), asJSON: json.isOn)
    }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End a key: its next request is refused.")
    @OptionGroup var owner: Owner
    @Argument(help: "The key's public id; never a whole key.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try owner.tenant.send(.post, owner.path + "/\(id)/revoke")
      print("key \(id) is revoked")
    }
  }
}

/// A key that an answer holds, on its only way out.
enum ShownKey {
  static func print(_ made: JSONObject, asJSON: Bool) throws {
    guard let key = made["key"]?.string?.text else { throw Trouble("the answer holds no key") }
    if asJSON { return Output.line(made) }
    Swift.print(key)
    Notice.print("key \(made["id"]?.string?.text ?? "") is shown once and kept nowhere")
  }
}
