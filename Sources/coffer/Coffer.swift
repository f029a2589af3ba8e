internal import ArgumentParser
internal import CShim
internal import Configuration

@main
struct Coffer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coffer", abstract: "Settings and secrets for AI agents.",
    discussion: "Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 64 wrong usage.", version: Release.version,
    subcommands: [Init.self, Up.self, Serve.self, Restart.self, Key.self, Audit.self, Import.self, Doctor.self])

  static func main() {
    // Keys pass through this process and through nginx below it: neither may leave a core file.
    _ = shim_raise_limits()
    main(nil)
  }
}

/// What went wrong, for a person: what failed and what to do.
struct Trouble: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

struct DirectoryOption: ParsableArguments {
  @Option(name: .customLong("dir"), help: "The directory of the store, its keys and its sockets.")
  var path: String = "/var/lib/coffer"
}
