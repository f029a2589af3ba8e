internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

extension Audit {
  struct Trim: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Cut old entries off the front of the chain.",
      discussion: """
        Export them first if you keep them. A signed checkpoint stays in their place, and the cut is an entry of its own, so \
        that `coffer audit verify` finds every other change. What does not fit is not cut.
        """)

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Option(help: "Cut what is older than this day (UTC), as in 2026-07-01.") var before: String?
    @Option(help: "Cut what is older than so many days.") var keepDays: Int?

    func validate() throws {
      try TenantName.check(tenant)
      guard (before == nil) != (keepDays == nil) else { throw ValidationError("give either --before or --keep-days") }
    }

    func run() throws {
      let body: JSONValue =
        if let before { ["before": .string(JSONString(before))] } else { ["keepDays": .number(JSONNumber(keepDays ?? 0))] }
      var removed: Int64 = 0
      // One cut has a limit, so that writes need not wait for long.
      for _ in 0..<100_000 {
        let answer = try AdminClient.send(
          .post, "/admin/v1/tenants/\(tenant)/audit/trim", body: body, directory: Folder.absolute(directory.path))
        guard let data = answer["data"]?.object, let count = data["removed"]?.number?.int64 else {
          throw Trouble("the answer holds no count")
        }
        removed += count
        guard data["hasMore"]?.bool == true else { break }
      }
      print("\(removed) entries cut")
    }
  }
}
