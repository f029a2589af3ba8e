internal import ArgumentParser
internal import CShim
internal import Configuration
internal import EnvironmentFiles
internal import Glibc
internal import SecretMemory

struct Run: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Start a command with the fields of secrets in its environment.",
    discussion: AgentVariables.rules + " The command takes the place of this program; the agent key is not in its environment.")

  @OptionGroup var server: AgentOptions
  @OptionGroup var variables: AgentVariables
  @Argument(parsing: .postTerminator, help: "The command and its arguments, behind --.") var command: [String]

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("name the command to start behind --") }
  }

  func run(_ client: AgentClient) throws {
    throw AgentFailure(.usage, try Program.replace(with: command, adding: variables.opened(by: client)))
  }
}

extension Program {
  private static let ownVariables: Set<String> = ["COFFER_AGENT_KEY", "COFFER_AGENT_KEY_FILE"]

  /// Starts `command` in the place of this process with `variables` in its environment. Returns only to say why it could not.
  static func replace(with command: [String], adding variables: [Variable]) throws -> String {
    for variable in variables where variable.value.holdsZero {
      throw AgentFailure(.usage, "the value for \(variable.name) holds a zero byte, which no environment variable can")
    }
    let added = Set(variables.map(\.name))
    let kept = EnvironmentBlock.entries().filter { entry in
      let name = String(decoding: entry.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
      return !name.isEmpty && !added.contains(name) && !ownVariables.contains(name)
    }
    var entries = unsafe kept.map { unsafe CString.copy($0) }
    for variable in variables {
      var entry =
        Array((variable.name + "=").utf8) + variable.value.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
      unsafe entries.append(CString.copy(entry))
      erase(&entry)
    }
    unsafe entries.append(nil)
    var arguments = unsafe command.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    unsafe shim_execute(command[0], arguments, entries)
    let code = errno
    unsafe entries.forEach { entry in
      guard let entry = unsafe entry else { return }
      unsafe explicit_bzero(entry, strlen(entry))
      unsafe free(entry)
    }
    return "\(command[0]) cannot be started: \(unsafe String(cString: strerror(code)))"
  }
}

enum CString {
  static func copy(_ bytes: [UInt8]) -> UnsafeMutablePointer<CChar>? {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe bytes.isEmpty ? strdup("") : strndup(bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
  }
}

extension SecretBytes {
  fileprivate var holdsZero: Bool { withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe $0.contains(0) } } }
}
