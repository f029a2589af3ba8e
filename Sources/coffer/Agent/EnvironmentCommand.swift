internal import ArgumentParser
internal import EnvironmentFiles
internal import SecretMemory
internal import StrictJSON

struct EnvironmentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "env", abstract: "Write secrets as a file of variables, and take a .env file in.", subcommands: [Export.self, Import.self])

  struct Export: AgentCommand {
    static let configuration = CommandConfiguration(
      commandName: "export", abstract: "Print the fields of secrets as variables for another program.",
      discussion: """
        \(AgentVariables.rules) A value that the format cannot say exactly is refused, and then nothing is printed: a line end in a \
        docker file, or in dotenv what its readers understand in different ways. json and shell say every text. What is printed is \
        in the clear: keep it in a file of mode 0600, or use `coffer run`.
        """)

    @OptionGroup var server: AgentOptions
    @OptionGroup var variables: AgentVariables
    @Option(help: "dotenv, json, shell, docker (--env-file) or systemd (EnvironmentFile=).") var format: VariableFormat

    func run(_ client: AgentClient) throws {
      let variables = try variables.opened(by: client)
      let text: SecretBytes
      do throws(UnwritableVariable) { text = try format.text(of: variables) } catch {
        throw AgentFailure(
          .usage,
          "\(error.name) holds \(error.reason.rawValue), which the format \(format.rawValue) cannot say; take another format, or coffer run"
        )
      }
      try ValueOutput.print(text, endsLine: false)
    }
  }
}

extension VariableFormat: ExpressibleByArgument {}
