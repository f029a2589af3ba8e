internal import ArgumentParser
internal import StrictJSON

struct Whoami: AgentCommand {
  static let configuration = CommandConfiguration(commandName: "whoami", abstract: "Say which agent the key belongs to and what it may do.")

  @OptionGroup var server: AgentOptions
  @Flag(help: "Print one JSON object.") var json = false

  func run(_ client: AgentClient) throws {
    let facts = try client.get("/agent/identity/whoami").data
    if json { return Output.line(facts) }
    func text(_ name: JSONString) -> String { facts[name]?.string?.text ?? "" }
    print("agent         \(text("agentId"))  \(text("name"))")
    print("tenant        \(text("tenantId"))")
    print("key           \(text("keyId"))  \(facts["keyExpiresAt"]?.string.map { "expires \($0.text)" } ?? "does not expire")")
    print("capabilities  \((facts["capabilities"]?.array ?? []).compactMap { $0.string?.text }.joined(separator: ", "))")
  }
}

struct Scopes: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "scopes", abstract: "List the scopes this agent may use, and its role in each.")

  @OptionGroup var server: AgentOptions
  @Flag(help: "Print one JSON object a line.") var json = false

  func run(_ client: AgentClient) throws {
    for row in try client.get("/agent/secrets/scopes").list {
      if json {
        Output.line(row)
      } else {
        func text(_ name: JSONString) -> String { row[name]?.string?.text ?? "" }
        Output.columns([text("scope"), text("scopeId"), text("role"), text("name")])
      }
    }
  }
}
