internal import ArgumentParser

@main
struct Coffer: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "coffer", abstract: "Settings and secrets for AI agents.")
}
