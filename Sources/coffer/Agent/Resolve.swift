internal import ArgumentParser
internal import StrictJSON

struct Resolve: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve", abstract: "Say which secret this agent uses under an id, over all its scopes, or print a value of it.",
    discussion: "The agent's own scope wins over its projects, these over their teams, and those over the org. Without an id: all of them.")

  @OptionGroup var server: AgentOptions
  @Option(help: "Only this project, its team, the agent and the org take part.") var project: String?
  @Option(help: "Only this team, the agent and the org take part.") var team: String?
  @Argument(help: "The secret's id.") var secret: String?
  @Argument(help: "The field's key: prints its value.") var field: String?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    if let secret { try NameRule.secret(secret) }
    if let field { try NameRule.field(field) }
    if field != nil, json { throw ValidationError("a value is printed as it is, not as JSON") }
  }

  func run(_ client: AgentClient) throws {
    let context = [("projectId", project), ("teamId", team)].compactMap { name, id in id.map { "\(name)=\(AgentClient.encoded($0))" } }
    let query = context.isEmpty ? "" : "?" + context.joined(separator: "&")
    guard let secret else { return try list(client, context) }
    if let field {
      let found = try ResolvedField(client.get("/agent/secrets/effective/\(secret)/fields/\(field)\(query)"))
      return try ValueOutput.print(try LocalSealing(client: client, scope: found.scope).value(of: found.field, secret: secret))
    }
    let data = try client.get("/agent/secrets/effective/\(secret)\(query)").data
    if json {
      // Without the values that the answer may hold.
      var shown = JSONObject()
      for name in ["resolvedFrom", "shadowed"] as [JSONString] { shown[name] = data[name] }
      return Output.line(shown)
    }
    print("from      \(Self.place(data["resolvedFrom"]?.object))")
    for row in data["shadowed"]?.array ?? [] { print("shadowed  \(Self.place(row.object))") }
    let fields = (data["aggregate"]?.object?["fields"]?.array ?? []).compactMap { $0.object?["fieldKey"]?.string?.text }
    print("fields    \(fields.joined(separator: ", "))")
  }

  private func list(_ client: AgentClient, _ context: [String]) throws {
    let filter = [("projectId", project), ("teamId", team)].compactMap { name, id in id.map { (name, $0) } }
    try client.pages("/agent/secrets/effective", filter) { row in
      if json { return Output.line(row) }
      let place =
        row["ambiguous"]?.bool == true ? "ambiguous: give one membership a higher priority" : Self.place(row["resolvedFrom"]?.object)
      Output.columns([row["secretId"]?.string?.text ?? "", place])
    }
  }

  static func place(_ row: JSONObject?) -> String {
    ["scope", "scopeId", "name"].compactMap { row?[JSONString($0)]?.string?.text }.joined(separator: "  ")
  }
}

/// A field with the scope that owns it: the binding of its data key is to that scope.
struct ResolvedField {
  let field: JSONObject
  let scope: Scope

  init(_ answer: AgentClient.Answer) throws {
    guard let scope = answer.data["resolvedFrom"]?.object.flatMap(Scope.init) else {
      throw AgentFailure(.server, "the answer does not say where the secret is from")
    }
    field = answer.data
    self.scope = scope
  }
}
