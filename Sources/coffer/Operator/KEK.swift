internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct KEK: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kek", abstract: "List and rotate a tenant's key encryption key, follow the re-wrap, disable old versions.",
    discussion: """
      After a rotation cofferd brings every row under the new version in the background. An old version can be disabled once \
      nothing is under it; a backup that needs it holds it.
      """, subcommands: [List.self, Rotate.self, Rewrap.self, Disable.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the versions: ids and state, never the keys themselves.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws { try tenant.list("/keks", asJSON: json.isOn, ["id", "version", "state", "createdAt", "usesReserved"]) }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new version, which seals from now on; older ones open what they sealed.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws {
      let made = try tenant.send(.post, "/keks/rotate")
      if json.isOn { return Output.line(made) }
      print("version \(made["version"]?.number?.int64 ?? 0) seals from now on; follow the re-wrap with: coffer kek rewrap")
    }
  }

  struct Rewrap: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Tell how many rows are under each version.")
    @OptionGroup var tenant: TenantOption
    @OptionGroup var json: JSONFlag

    func run() throws {
      let progress = try tenant.send(.get, "/keks/rewrap")
      if json.isOn { return Output.line(progress) }
      let active = progress["activeVersion"]?.number?.int64 ?? 0
      for version in progress["versions"]?.array?.compactMap(\.object) ?? [] {
        let (number, rows) = (version["version"]?.number?.int64 ?? 0, version["rows"]?.number?.int64 ?? 0)
        print("version \(number): \(rows) rows\(number == active ? " (seals)" : "")")
      }
      print(progress["isDone"]?.bool == true ? "nothing is under an older version" : "the re-wrap goes on while cofferd runs")
    }
  }

  struct Disable: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Destroy the key of an old version; refused while anything needs it.",
      discussion: "Blobs that clients kept from before the re-wrap open no longer; what Coffer returns does.")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The version's id, as `coffer kek list` prints it.") var id: String
    @Argument(help: "The version's number.") var version: UInt32

    func validate() throws { try IDRule.check(id) }
    func run() throws {
      let done = try tenant.send(.post, "/keks/\(id)/\(version)/disable")
      print("version \(version) is disabled")
      if done["erased"]?.bool == false {
        Notice.print("its wrapped key leaves the store's files with a later commit: a reader is in the way")
      }
    }
  }
}
