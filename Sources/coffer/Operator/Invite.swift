internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Invite: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make invites, by which programs enrol themselves as agents; list and end them.",
    subcommands: [Create.self, List.self, Revoke.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make an invite and print its token once.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag
    @Argument(help: "A label to know it by.") var label: String
    @Option(help: "team:ID:ROLE or project:ID:ROLE that the new agents get; may be given several times.") var membership: [Grant] = []
    @Option(help: "How many agents may enrol.") var maxUses = 1
    @Option(help: "Lifetime: a number with s, m, h or d.") var expires = "7d"

    func validate() throws {
      guard Key.Create.seconds(expires) != nil else { throw ValidationError("--expires takes a number with s, m, h or d, at most 3650d") }
      guard maxUses > 0 else { throw ValidationError("--max-uses takes a number from 1") }
    }

    func run() throws {
      let end = Moment.milliseconds() + (Key.Create.seconds(expires) ?? 0) * 1000
      let body = JSONObject([
        ("label", .text(label)), ("memberships", .array(membership.map(\.json))), ("maxUses", .number(JSONNumber(maxUses))),
        ("expiresAt", .text(Moment.text(end))),
      ])
      let made = try tenant.send(.post, "/invites", body)
      if json.isOn { return Output.line(made) }
      print(made["inviteToken"]?.string?.text ?? "")
      Notice.print("invite \(made["id"]?.string?.text ?? "") is shown once and kept nowhere")
    }
  }

  struct Grant: ExpressibleByArgument {
    let json: JSONValue

    init?(argument: String) {
      let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 3, Member.Kind(rawValue: parts[0]) != nil, Member.Role(rawValue: parts[2]) != nil else { return nil }
      json = ["scope": .text(parts[0]), "scopeId": .text(parts[1]), "role": .text(parts[2])]
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List invites; never their tokens.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws { try tenant.list("/invites", asJSON: json.isOn, ["id", "uses", "maxUses", "expiresAt", "label"]) }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End an invite.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The invite's id.") var id: String

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      try tenant.send(.delete, "/invites/\(id)")
      print("invite \(id) has ended")
    }
  }
}
