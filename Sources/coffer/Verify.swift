internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check everything that is stored; exit 1 with a list when something is not as it should be.",
    discussion: """
      The file's structure, every key, every row's MAC, every sealed value, every audit chain, and that each row is the one its \
      chain names last. Changes nothing; a running cofferd serves on. A chain whose end was cut off together with the rows it named, \
      or a whole store that was put back, shows only against a head kept elsewhere: give --heads what `coffer backup --json` or \
      `coffer verify --json` printed earlier.
      """)

  @OptionGroup var directory: DirectoryOption
  @Option(help: "Check this backup instead of the store.") var file: String?
  @Option(help: "A file with heads that were printed earlier: each must be in its chain.") var heads: String?
  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let path = Folder.absolute(directory.path)
    let kept = try heads.map(Self.kept)
    let answer: JSONObject
    if let file {
      let backup = try ExaminedBackup(Folder.absolute(file), try AdminClient.settings(path))
      defer { backup.discard() }
      answer = try backup.verify(kept)
    } else {
      answer = try AdminClient.send(.post, "/admin/v1/verify", body: kept, directory: path, patience: AdminClient.longPatience)
    }
    let report = try VerificationText(answer)
    if json { print(report.json) } else { report.show() }
    if !report.isSound { throw ExitCode.failure }
  }

  private static func kept(_ path: String) throws -> JSONValue {
    let limits = JSONLimits(bytes: 4 << 20, depth: 8, members: 500_000)
    guard let text = Folder.read(path), let heads = try? JSONValue.parse(Array(text.utf8), limits: limits).object?["heads"] else {
      throw Trouble("\(path) holds no heads; they are printed by coffer backup --json and coffer verify --json")
    }
    return ["heads": heads]
  }
}

/// What a verification found, for people.
struct VerificationText {
  private let report: JSONObject
  let isSound: Bool

  init(_ answer: JSONObject) throws {
    guard let report = answer["data"]?.object, let isSound = report["ok"]?.bool else { throw Trouble("the answer holds no report") }
    (self.report, self.isSound) = (report, isSound)
  }

  var json: String { String(decoding: JSONValue.object(report).serialized(), as: UTF8.self) }

  private func number(_ name: JSONString) -> Int64 { report[name]?.number?.int64 ?? 0 }

  func show() {
    let counted: [(String, JSONString)] = [
      ("tenants", "tenants"), ("keys", "apiKeys"), ("secrets", "secrets"), ("documents", "documents"), ("audit entries", "auditEntries"),
    ]
    print("verified:", counted.map { "\(number($0.1)) \($0.0)" }.joined(separator: ", "))
    for finding in findings { print(finding) }
    AuditHeads.show(report["heads"])
    print(isSound ? "everything is as it should be" : "\(number("findingCount")) findings")
  }

  /// One line each: whose, where, what.
  var findings: [String] {
    let list = report["findings"]?.array?.compactMap(\.object) ?? []
    return list.map { finding in
      func text(_ name: JSONString) -> String { finding[name]?.string?.text ?? "" }
      return "\(text("tenant").isEmpty ? "store" : text("tenant")): \(text("place")) \(text("text"))"
    }
  }
}
