internal import ArgumentParser
internal import EnvironmentFiles
internal import SecretMemory
internal import StrictJSON

/// The fields of chosen secrets as variables, for the commands that hand them on.
struct AgentVariables: ParsableArguments {
  static let rules = """
    Each field becomes a variable: a prefix, then the field's key in upper case with _ for other characters. The prefix is the \
    secret's id in the same form with a _ behind it, or what follows the colon: --secret acme-api gives ACME_API_TOKEN, \
    --secret acme-api: gives TOKEN, --secret acme-api:CI_ gives CI_TOKEN. Secrets are looked up as `coffer resolve` does and opened \
    here.
    """

  @Option(name: .customLong("secret"), help: "ID or ID:PREFIX; may be given several times.") var secrets: [SecretChoice]

  func validate() throws { for choice in secrets { try NameRule.secret(choice.id) } }

  func opened(by client: AgentClient) throws -> [Variable] {
    var variables: [Variable] = []
    var names: Set<String> = []
    for variable in try secrets.flatMap({ try Self.variables(of: $0, client) }) {
      guard names.insert(variable.name).inserted else {
        throw AgentFailure(.conflict, "two fields would become \(variable.name); give one of the secrets another prefix (ID:PREFIX)")
      }
      variables.append(variable)
    }
    return variables
  }

  private static func variables(of choice: SecretChoice, _ client: AgentClient) throws -> [Variable] {
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
      return Variable(name: choice.prefix + SecretChoice.variable(key.text), value: try sealing.value(of: field, secret: choice.id))
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
