internal import ArgumentParser
internal import CShim
internal import Configuration
internal import Glibc

@main
struct Coffer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coffer", abstract: "Settings and secrets for AI agents.",
    discussion: """
      Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 64 wrong usage. Commands for agents: 2 wrong usage, 3 no \
      good key, 4 forbidden, 5 not found, 6 conflict, 7 too many requests, 8 no server or network.
      """, version: Release.version,
    groupedSubcommands: [
      CommandGroup(name: "Host", subcommands: host),
      CommandGroup(name: "Scopes", subcommands: scopes),
      CommandGroup(name: "Agent", subcommands: agent),
    ])

  static func main() {
    // Keys pass through this process and through nginx below it: neither may leave a core file.
    _ = shim_raise_limits()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      // An agent's commands have the scoped dialect's exit codes, where 2 is wrong usage.
      if exitCode(for: error) == .validationFailure, let name = CommandLine.arguments.dropFirst().first, agentCommands.contains(name) {
        Notice.print(fullMessage(for: error))
        Glibc.exit(AgentFailure.Kind.usage.rawValue)
      }
      exit(withError: error)
    }
  }

  private static let host: [any ParsableCommand.Type] = [
    Init.self, Up.self, Serve.self, FCGI.self, Restart.self, Seal.self, Unseal.self,
    Key.self, Tenant.self, KEK.self, Canary.self, WireKey.self, Root.self, Conversation.self, Audit.self,
    Import.self, Export.self,
    Backup.self, Restore.self, Verify.self, Scan.self,
    Doctor.self, Config.self, Metrics.self,
  ]

  private static let scopes: [any ParsableCommand.Type] = [
    Team.self, Project.self, AgentAccount.self, Member.self, Invite.self, SecretMetadata.self,
  ]

  private static let agentCommands = Set(agent.compactMap { $0.configuration.commandName })
  private static let agent: [any ParsableCommand.Type] = [
    Whoami.self, Scopes.self, ListSecrets.self, GetField.self, SetField.self, RemoveSecret.self, History.self, Resolve.self, Run.self,
    EnvironmentCommand.self,
  ]
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
