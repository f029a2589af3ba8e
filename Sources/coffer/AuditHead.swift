internal import ArgumentParser
internal import HTTPMessages
internal import KeyRing
internal import StrictJSON

extension Audit {
  struct Head: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the newest entry's SEQUENCE:HASH.",
      discussion: "Keep it elsewhere: `coffer audit verify --head` then finds a tail that was cut off.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let answer = try AdminClient.send(.get, "/admin/v1/tenants/\(tenant)/audit/head", directory: Folder.absolute(directory.path))
      guard let head = answer["data"]?.object, let sequence = head["sequence"]?.number?.int64 else {
        throw Trouble("the answer holds no head")
      }
      print("\(sequence):\(head["hash"]?.string?.text ?? String(repeating: "0", count: 64))")
    }
  }

  /// `SEQUENCE:HASH` as `audit head` prints it.
  struct Mark: ExpressibleByArgument {
    let sequence: Int64
    let hash: String

    init?(argument: String) {
      let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let sequence = Int64(parts[0]), sequence >= 0, parts[1].utf8.count == 64,
        WireText.decodeHexadecimal(String(parts[1])) != nil
      else { return nil }
      self.sequence = sequence
      hash = String(parts[1])
    }
  }
}
