internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

extension Root {
  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Tell which root key is in use, and what is under it; never a key itself.")
    @OptionGroup var directory: DirectoryOption
    @OptionGroup var json: JSONFlag

    func run() throws {
      let answer = try AdminClient.send(.get, "/admin/v1/root", directory: Folder.absolute(directory.path))
      guard let status = answer["data"]?.object else { throw Trouble("the answer says nothing of the root key") }
      if json.isOn { return Output.line(status) }
      let id = status["rootKeyId"]?.string?.text ?? ""
      print("root key \(id), from \(status["file"]?.string?.text ?? "a credential or a program")")
      for row in status["wrapped"]?.array?.compactMap(\.object) ?? [] {
        print("\(row["keks"]?.number?.int64 ?? 0) tenant keys are under \(row["rootKeyId"]?.string?.text ?? "")")
      }
      if let waiting = status["waitingKeyId"]?.string?.text { print("key \(waiting) waits beside it for: coffer root rotate") }
    }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Put a new root key in the place of the one in use, while cofferd serves on, and prove that it opens everything.",
      discussion: """
        The new key is made on this machine, or is the one that waits beside the old one as NAME.next (mode 0400). The old key stays \
        as NAME.retired-ID: backups made before need it.
        """)
    @OptionGroup var directory: DirectoryOption
    @Flag(help: "Go on although an audit chain has an entry that does not fit; the chain then says so for good.") var acceptBrokenAudit =
      false
    @OptionGroup var json: JSONFlag

    func run() throws {
      let answer = try AdminClient.send(
        .post, "/admin/v1/root/rewrap", body: ["acceptBrokenAudit": .bool(acceptBrokenAudit)], directory: Folder.absolute(directory.path),
        patience: AdminClient.longPatience)
      guard let change = answer["data"]?.object, let proof = change["proof"]?.object else { throw Trouble("the answer says nothing") }
      if json.isOn { Output.line(change) } else { Self.show(change) }
      guard proof["ok"]?.bool == true else {
        let places = proof["failures"]?.array?.compactMap(\.string?.text) ?? []
        throw Trouble("the new key does not open: \(places.joined(separator: ", ")); keep the old one, and run: coffer verify")
      }
      if !json.isOn { Self.conclude(change, proof) }
    }

    private static func show(_ change: JSONObject) {
      func number(_ name: JSONString) -> Int64 { change[name]?.number?.int64 ?? 0 }
      print("root key \(text(change, "rootKeyId")) is in use: \(number("keks")) tenant keys and \(number("rows")) rows are under it")
      if number("unprovenRows") > 0 {
        Notice.print("\(number("unprovenRows")) rows did not verify before and were left as they are; run: coffer verify")
      }
      if change["erased"]?.bool == false {
        Notice.print("what the old key opens leaves the store's files with a later commit: a reader is in the way")
      }
    }

    /// What may be done with the old key, now that it is proven to be needless here.
    private static func conclude(_ change: JSONObject, _ proof: JSONObject) {
      print("proven: each of them, and \(proof["rows"]?.number?.int64 ?? 0) rows, open with it alone")
      let old = text(change, "oldRootKeyId")
      if let trouble = change["trouble"]?.string?.text {
        Notice.print("\(trouble); until that is mended cofferd finds the new key in \(text(change, "file"))")
      } else if let retired = change["retiredFile"]?.string?.text {
        print("the old key \(old) is kept in \(retired): remove it once you keep no backup made before now")
      } else {
        print("put the new key from \(text(change, "file")) where yours is read from, then remove that file")
        print("keep the old key \(old) for as long as you keep a backup made before now")
      }
      print("copies of the old key are of no use for this store any more; make a new one with: coffer root escrow")
    }

    private static func text(_ object: JSONObject, _ name: JSONString) -> String { object[name]?.string?.text ?? "" }
  }
}
