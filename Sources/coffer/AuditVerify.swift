internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

extension Audit {
  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every link and every MAC of the chain; exit 1 when one does not fit.",
      discussion: """
        A tail that was cut off shows only against a head kept elsewhere (`coffer audit head`, --head). With --file an export \
        is checked, its MACs with the root key of --dir, or its links alone where there is none.
        """)

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Option(help: "Check this export instead of the store.") var file: String?
    @Option(help: "SEQUENCE:HASH of an older head that must be in the chain.") var head: Audit.Mark?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let path = Folder.absolute(directory.path)
      let verdict: JSONObject
      if let file {
        verdict = try ExportedFile(file).verdict(directory: path, head: head)
      } else {
        let mark: JSONValue? = head.map {
          ["head": ["sequence": .number(JSONNumber($0.sequence)), "hash": .string(JSONString($0.hash))]]
        }
        let answer = try AdminClient.send(.post, "/admin/v1/tenants/\(tenant)/audit/verify", body: mark, directory: path)
        guard let data = answer["data"]?.object else { throw Trouble("the answer holds no verdict") }
        verdict = data
      }
      guard let isIntact = verdict["ok"]?.bool else { throw Trouble("the answer holds no verdict") }
      print(json ? String(decoding: JSONValue.object(verdict).serialized(), as: UTF8.self) : Self.text(verdict, isIntact))
      if !isIntact { throw ExitCode.failure }
    }

    private static func text(_ verdict: JSONObject, _ isIntact: Bool) -> String {
      let entries = verdict["entries"]?.number?.int64 ?? 0
      guard isIntact else {
        return "entry \(verdict["firstBad"]?.number?.int64 ?? 0) does not fit, or is missing; those before it are as they should be"
      }
      var text =
        "\(entries) entries, every link \(verdict["macsChecked"]?.bool == false ? "fits (no root key: MACs unchecked)" : "and MAC fits")"
      if let cut = verdict["cutThrough"]?.number?.int64 { text += "; entries up to \(cut) were cut" }
      if verdict["headIsCut"]?.bool == true { text += "; the given head is among them and was compared with nothing" }
      return text
    }
  }
}
