internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

/// The scoped dialect's settings of a tenant.
struct TenantSettings: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "settings", abstract: "Show and change what the scoped dialect allows in a tenant.",
    subcommands: [Get.self, Put.self])

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the settings, as JSON.")
    @OptionGroup var tenant: TenantOption

    func run() throws { Output.line(try tenant.send(.get, "/settings")) }
  }

  struct Put: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Change settings, as in: retainVersions=10 plaintextPolicy=deny requireIfMatch=true")
    @OptionGroup var tenant: TenantOption
    @Argument(help: "NAME=VALUE, with a number, true, false, null or a word.") var changes: [Change]

    func validate() throws {
      guard Set(changes.map(\.name)).count == changes.count else { throw ValidationError("each setting may come once") }
    }

    func run() throws { Output.line(try tenant.send(.patch, "/settings", JSONObject(changes.map { ($0.name, $0.value) }))) }
  }

  struct Change: ExpressibleByArgument {
    let name: JSONString
    let value: JSONValue

    init?(argument: String) {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty else { return nil }
      name = JSONString(parts[0])
      let limits = JSONLimits(bytes: 256, depth: 2, members: 1)
      // What is no JSON value is a word.
      value = (try? JSONValue.parse(Array(parts[1].utf8), limits: limits)) ?? .text(parts[1])
    }
  }
}
