internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Audit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read, check, export and cut a tenant's audit chain.",
    subcommands: [List.self, Head.self, Verify.self, Export.self, Trim.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print entries, the oldest first.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Option(help: "At most this many entries.") var limit: Int?
    @Flag(help: "Print one JSON object a line, hashes included.") var json = false

    func validate() throws {
      try TenantName.check(tenant)
      if let limit, limit < 1 { throw ValidationError("--limit takes a number from 1") }
    }

    func run() throws {
      let path = "/admin/v1/tenants/\(tenant)/audit"
      try AdminList.all(path, directory: Folder.absolute(directory.path), limit: limit ?? .max) { entry in
        print(json ? String(decoding: JSONValue.object(entry).serialized(), as: UTF8.self) : Self.line(entry))
      }
    }

    private static func line(_ entry: JSONObject) -> String {
      func text(_ name: JSONString) -> String { entry[name]?.string?.text ?? "" }
      let number = entry["sequence"]?.number?.int64 ?? 0
      let actor = text("keyId").isEmpty ? text("actorType") : "\(text("actorType"))=\(text("keyId"))"
      return ["\(number)", text("at"), text("outcome"), text("action"), text("secretId"), actor, text("requestId")]
        .joined(separator: "  ")
    }
  }
}
