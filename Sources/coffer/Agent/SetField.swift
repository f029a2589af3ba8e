internal import ArgumentParser
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

struct SetField: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Store a value in a field of a secret, sealed on this machine.",
    discussion: """
      The value comes from standard input, a file (--from) or a prompt. It is sealed here under a one-time data key: the server keeps \
      an envelope that it does not open. With --plaintext the server sees the value and encrypts it at rest. A secret that does not \
      exist is made.
      """)

  @OptionGroup var server: AgentOptions
  @OptionGroup var place: ScopeOption
  @OptionGroup var input: ValueInput
  @Argument(help: "The secret's id.") var secret: String
  @Argument(help: "The field's key.") var field: String
  @Flag(help: "Send the value as it is, for what is no secret.") var plaintext = false
  @Flag(help: "Allow an encrypted field to become a plaintext one.") var allowDowngrade = false
  @Option(help: "For a new secret: its category.") var category: String?
  @Option(help: "For a new secret: a tag; may be given several times.") var tag: [String] = []

  func validate() throws {
    try NameRule.secret(secret)
    try NameRule.field(field)
  }

  func run(_ client: AgentClient) throws {
    let value = try input.read()
    let scope = try place.scope.resolved(by: client)
    do {
      try store(value, client, scope)
    } catch let failure as AgentFailure where failure.code == "secret_not_found" {
      try create(client, scope)
      try store(value, client, scope)
    }
    Notice.print("\(secret)/\(field) is stored in \(scope.kind) \(scope.name)")
  }

  private func store(_ value: SecretBytes, _ client: AgentClient, _ scope: Scope) throws {
    var body = JSONObject()
    if plaintext {
      body["sensitivity"] = "plaintext"
      guard let text = value.text else { throw AgentFailure(.usage, "a plaintext value must be UTF-8") }
      body["value"] = .string(text)
    } else {
      body["sensitivity"] = "encrypted"
      body["envelope"] = try LocalSealing(client: client, scope: scope).seal(value, secret: secret, field: field).json
    }
    let query = allowDowngrade ? "?allowDowngrade=true" : ""
    _ = try client.change("PUT", "\(scope.path)/\(secret)/fields/\(field)\(query)", .object(body))
  }

  /// Another agent may be faster: then the secret is there, which is what was wanted.
  private func create(_ client: AgentClient, _ scope: Scope) throws {
    var body = JSONObject()
    if let category { body["category"] = .string(JSONString(category)) }
    if !tag.isEmpty { body["tags"] = .array(tag.map { .string(JSONString($0)) }) }
    do {
      _ = try client.send("PUT", "\(scope.path)/\(secret)", .object(body), fields: [("If-None-Match", "*")])
    } catch let failure as AgentFailure where failure.code == "precondition_failed" {}
  }
}

extension SecretBytes {
  /// The bytes as JSON text; nil when they are no UTF-8.
  fileprivate var text: JSONString? {
    withBytes { bytes in
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe String(validating: bytes, as: UTF8.self) == nil ? nil : JSONString(utf8: Array(bytes))
      }
    }
  }
}
