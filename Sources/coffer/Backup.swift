internal import ArgumentParser
internal import Glibc
internal import HTTPMessages
internal import StrictJSON

struct Backup: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy the store into one file; a running cofferd serves on.",
    discussion: """
      The file holds every write that was acknowledged before the command began, sealed as in the store. It holds no key: to \
      restore it takes the root key (DIR/keys/root.key), which must be kept apart from it. The audit heads that are printed find, \
      when kept elsewhere, a chain whose end was cut off later. The account that runs cofferd writes the file.
      """)

  @OptionGroup var directory: DirectoryOption
  @Option(help: "The file to write.") var to: String
  @Flag(help: "Replace the file when it is an earlier backup.") var force = false
  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let path = Folder.absolute(to)
    let answer = try AdminClient.send(
      .post, "/admin/v1/backup", body: ["path": .string(JSONString(path)), "replace": .bool(force)],
      directory: Folder.absolute(directory.path), patience: AdminClient.longPatience)
    guard let report = answer["data"]?.object, let bytes = report["bytes"]?.number?.int64 else {
      throw Trouble("the answer holds no report")
    }
    var facts = stat()
    guard unsafe stat(path, &facts) == 0, Int64(facts.st_size) == bytes else {
      throw Trouble("cofferd wrote \(path) where this command does not see it (a private /tmp?); name a file in another directory")
    }
    if json {
      var shown = report
      shown["file"] = .string(JSONString(path))
      return print(String(decoding: JSONValue.object(shown).serialized(), as: UTF8.self))
    }
    print("\(path): \(bytes) bytes, schema \(report["schema"]?.number?.int64 ?? 0), \(report["tenants"]?.number?.int64 ?? 0) tenants")
    AuditHeads.show(report["heads"])
  }
}

/// The last entry of each chain, for keeping elsewhere.
enum AuditHeads {
  static func show(_ list: JSONValue?) {
    for head in list?.array?.compactMap(\.object) ?? [] {
      func text(_ name: JSONString) -> String { head[name]?.string?.text ?? "" }
      print("audit head of \(text("name")) (\(text("tenant"))): \(head["sequence"]?.number?.int64 ?? 0) \(text("hash"))")
    }
  }
}
