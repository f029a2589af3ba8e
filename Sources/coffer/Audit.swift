internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Audit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read and check a tenant's audit chain.", subcommands: [List.self, Verify.self])

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

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every link and every MAC of the chain; exit 1 when one does not fit.",
      discussion: "A tail that was cut off shows only against a head kept elsewhere: compare the number of entries.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let answer = try AdminClient.send(
        .post, "/admin/v1/tenants/\(tenant)/audit/verify", directory: Folder.absolute(directory.path))
      guard let verdict = answer["data"]?.object, let isIntact = verdict["ok"]?.bool else { throw Trouble("the answer holds no verdict") }
      let entries = verdict["entries"]?.number?.int64 ?? 0
      if json {
        print(String(decoding: JSONValue.object(verdict).serialized(), as: UTF8.self))
      } else if isIntact {
        print("\(entries) entries, every link and MAC fits")
      } else {
        print("entry \(verdict["firstBad"]?.number?.int64 ?? 0) does not fit; the \(entries) before it do")
      }
      if !isIntact { throw ExitCode.failure }
    }
  }
}
