internal import ArgumentParser
internal import CShim
internal import Configuration
internal import Glibc
internal import SecretMemory
internal import StrictJSON

struct Run: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Start a command with the fields of secrets in its environment.",
    discussion: """
      Each field becomes a variable: a prefix, then the field's key in upper case with _ for other characters. The prefix is the \
      secret's id in the same form with a _ behind it, or what follows the colon: --secret acme-api gives ACME_API_TOKEN, \
      --secret acme-api: gives TOKEN, --secret acme-api:CI_ gives CI_TOKEN. Secrets are looked up as `coffer resolve` does and opened \
      here. The command takes the place of this program; the agent key is not in its environment.
      """)

  @OptionGroup var server: AgentOptions
  @Option(name: .customLong("secret"), help: "ID or ID:PREFIX; may be given several times.") var secrets: [SecretChoice]
  @Argument(parsing: .postTerminator, help: "The command and its arguments, behind --.") var command: [String]

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("name the command to start behind --") }
    for choice in secrets { try NameRule.secret(choice.id) }
  }

  func run(_ client: AgentClient) throws {
    var variables: [(name: String, value: SecretBytes)] = []
    for choice in secrets {
      for variable in try Self.variables(of: choice, client) {
        guard !variables.contains(where: { $0.name == variable.name }) else {
          throw AgentFailure(.conflict, "two fields would become \(variable.name); give one of the secrets another prefix (ID:PREFIX)")
        }
        variables.append(variable)
      }
    }
    throw AgentFailure(.usage, try Program.replace(with: command, adding: variables))
  }

  private static func variables(of choice: SecretChoice, _ client: AgentClient) throws -> [(name: String, value: SecretBytes)] {
    let data = try client.get("/agent/secrets/effective/\(choice.id)").data
    guard let scope = data["resolvedFrom"]?.object.flatMap(Scope.init) else {
      throw AgentFailure(.server, "the answer does not say where \(choice.id) is from")
    }
    let sealing = LocalSealing(client: client, scope: scope)
    let envelopes = data["envelopes"]?.object ?? JSONObject()
    return try (data["aggregate"]?.object?["fields"]?.array ?? []).compactMap(\.object).map { field in
      var field = field
      guard let key = field["fieldKey"]?.string else { throw AgentFailure(.server, "the answer holds a field without a key") }
      if field["value"] == nil { field["envelope"] = envelopes[key] }
      return (choice.prefix + SecretChoice.variable(key.text), try sealing.value(of: field, secret: choice.id))
    }
  }
}

/// A secret and what its variables begin with.
struct SecretChoice: ExpressibleByArgument, Equatable {
  let id: String
  let prefix: String

  init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    id = parts[0]
    prefix = parts.count == 2 ? parts[1] : Self.variable(parts[0]) + "_"
    let isName = prefix.utf8.allSatisfy { TenantName.isLetterOrDigit($0) || $0 == UInt8(ascii: "_") }
    guard isName, !(prefix.utf8.first.map { (0x30...0x39).contains($0) } ?? false) else { return nil }
  }

  /// `base_url` as `BASE_URL`, `acme-api` as `ACME_API`.
  static func variable(_ text: String) -> String {
    let name = String(
      decoding: text.utf8.map { byte -> UInt8 in
        switch byte {
        case 0x61...0x7A: byte - 0x20
        case 0x30...0x39, 0x41...0x5A: byte
        default: UInt8(ascii: "_")
        }
      }, as: UTF8.self)
    return name.utf8.first.map { (0x30...0x39).contains($0) } == true ? "_" + name : name
  }
}

extension Program {
  private static let ownVariables: Set<String> = ["COFFER_AGENT_KEY", "COFFER_AGENT_KEY_FILE"]

  /// Starts `command` in the place of this process with `variables` in its environment. Returns only to say why it could not.
  static func replace(with command: [String], adding variables: [(name: String, value: SecretBytes)]) throws -> String {
    for (name, value) in variables where value.holdsZero {
      throw AgentFailure(.usage, "the value for \(name) holds a zero byte, which no environment variable can")
    }
    let added = Set(variables.map(\.name))
    let kept = EnvironmentBlock.entries().filter { entry in
      let name = String(decoding: entry.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
      return !name.isEmpty && !added.contains(name) && !ownVariables.contains(name)
    }
    var entries = unsafe kept.map { unsafe CString.copy($0) }
    for (name, value) in variables {
      var entry = Array((name + "=").utf8) + value.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
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
