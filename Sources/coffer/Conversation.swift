internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Conversation: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List and end the tokens by which conversations look up their secrets.", subcommands: [List.self, Revoke.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List tokens by conversation, with the names that each opens.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Flag(help: "Print one JSON object a line.") var json = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      try AdminList.all("/admin/v1/tenants/\(tenant)/conversations", directory: Folder.absolute(directory.path)) { grant in
        print(json ? String(decoding: JSONValue.object(grant).serialized(), as: UTF8.self) : Self.line(grant))
      }
    }

    private static func line(_ grant: JSONObject) -> String {
      func text(_ name: JSONString) -> String { grant[name]?.string?.text ?? "" }
      let names = (grant["names"]?.array ?? []).compactMap { $0.string?.text }.joined(separator: ", ")
      let uses = grant["usesLeft"]?.number?.int64 ?? 0
      return [text("conversation"), text("keyId"), "until \(text("expiresAt"))", "\(uses) uses left", names].joined(separator: "  ")
    }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End every token of a conversation: its next lookup is refused, and the values kept for it are deleted.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Argument(help: "The conversation's id.") var id: String

    func validate() throws {
      try TenantName.check(tenant)
      guard (32...36).contains(id.utf8.count), id.utf8.allSatisfy({ TenantName.isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }) else {
        throw ValidationError("a conversation's id is a UUID")
      }
    }

    func run() throws {
      _ = try AdminClient.send(.delete, "/admin/v1/tenants/\(tenant)/conversations/\(id)", directory: Folder.absolute(directory.path))
      print("the tokens of \(id) are revoked")
    }
  }
}
