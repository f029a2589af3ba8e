internal import ArgumentParser

@main
struct Coffer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coffer", abstract: "Settings and secrets for AI agents.", version: "0.1.0",
    subcommands: [Init.self, Up.self, Serve.self, Restart.self, Key.self, Audit.self, Doctor.self])
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
