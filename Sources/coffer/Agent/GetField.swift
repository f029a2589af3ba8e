internal import ArgumentParser
internal import Glibc
internal import SecretMemory
internal import StrictJSON

struct GetField: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Print the value of a field of a secret.",
    discussion: "Without a field: of the only one, when there is one. `coffer resolve` looks in every scope this agent uses.")

  @OptionGroup var server: AgentOptions
  @OptionGroup var place: ScopeOption
  @Argument(help: "The secret's id.") var secret: String
  @Argument(help: "The field's key.") var field: String?

  func validate() throws {
    try NameRule.secret(secret)
    if let field { try NameRule.field(field) }
  }

  func run(_ client: AgentClient) throws {
    let scope = try place.scope.resolved(by: client)
    let name = try field ?? client.get("\(scope.path)/\(secret)").onlyField(of: secret)
    let answer = try client.get("\(scope.path)/\(secret)/fields/\(name)")
    try ValueOutput.print(try LocalSealing(client: client, scope: scope).value(of: answer.data, secret: secret))
  }
}

extension AgentClient.Answer {
  /// The key of the one field of a secret that was read.
  func onlyField(of secret: String) throws -> String {
    let fields = (data["aggregate"]?.object?["fields"]?.array ?? []).compactMap { $0.object?["fieldKey"]?.string?.text }
    guard fields.count == 1, let field = fields.first else {
      throw AgentFailure(.usage, fields.isEmpty ? "\(secret) has no field" : "name a field of \(secret): \(fields.joined(separator: ", "))")
    }
    return field
  }
}

/// A value on standard output: its exact bytes, and a line end where a person reads them.
enum ValueOutput {
  static func print(_ value: SecretBytes, endsLine: Bool = isatty(STDOUT_FILENO) == 1) throws {
    var bytes = value.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&bytes) }
    let end: [UInt8] = endsLine ? [0x0A] : []
    for part in [bytes, end] {
      var offset = 0
      while offset < part.count {
        let result = unsafe part.withUnsafeBytes { unsafe write(STDOUT_FILENO, $0.baseAddress! + offset, $0.count - offset) }
        if result < 0, errno == EINTR { continue }
        guard result > 0 else { throw AgentFailure(.usage, "standard output cannot be written") }
        offset += result
      }
    }
  }
}
