internal import ArgumentParser
internal import Configuration
internal import StrictJSON

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show and check the settings that cofferd would run with.",
    discussion: "As they are for this account, with this environment: a service manager may give cofferd another one.",
    subcommands: [Show.self, Check.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print every setting with its value; of a secret only whether it is set.")

    @OptionGroup var directory: DirectoryOption
    @Flag(help: "Print where each value comes from: a variable, a line of the file, or the default.") var origin = false
    @Flag(help: "Print one JSON object, origins included.") var json = false

    func run() throws {
      let rows = try AdminClient.settings(Folder.absolute(directory.path)).shown
      if json {
        let list = rows.map { row -> JSONValue in
          let value = row.value.map { JSONValue.string(JSONString($0)) } ?? .null
          return ["name": .string(JSONString(row.name)), "value": value, "origin": .string(JSONString(row.origin))]
        }
        print(
          String(
            decoding: JSONValue.object(JSONObject(uniqueMembers: [.init(name: "settings", value: .array(list))])).serialized(),
            as: UTF8.self))
        return
      }
      for row in rows {
        let value = row.value.map { $0.isEmpty ? "<none>" : $0 } ?? "<not set>"
        print("\(row.name) = \(value)" + (origin ? "  (\(row.origin))" : ""))
      }
    }
  }

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say whether the settings are accepted; exit 1 when they are not.")

    @OptionGroup var directory: DirectoryOption

    func run() throws {
      let configuration = try AdminClient.settings(Folder.absolute(directory.path))
      for warning in configuration.warnings { print("warning: \(warning.message)") }
      print("accepted" + (configuration.file.map { ": \($0.value)" } ?? ": no file, defaults only"))
    }
  }
}

struct Metrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the running cofferd's figures in Prometheus' text format.",
    discussion: "The same as GET /metrics with an admin key.")

  @OptionGroup var directory: DirectoryOption

  func run() throws { print(try AdminClient.running("/metrics", directory: Folder.absolute(directory.path)), terminator: "") }
}
