internal import ArgumentParser
internal import StrictJSON

struct RemoveSecret: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Delete a secret, or one field of it.",
    discussion: """
      A deleted secret can be restored by an operator for some days. Where a wider scope has a secret of the same id, that one \
      shows through from now on.
      """)

  @OptionGroup var server: AgentOptions
  @OptionGroup var place: ScopeOption
  @Argument(help: "The secret's id.") var secret: String
  @Argument(help: "The field's key; without it the whole secret goes.") var field: String?

  func validate() throws {
    try NameRule.secret(secret)
    if let field { try NameRule.field(field) }
  }

  func run(_ client: AgentClient) throws {
    let scope = try place.scope.resolved(by: client)
    let data = try client.change("DELETE", "\(scope.path)/\(secret)" + (field.map { "/fields/\($0)" } ?? "")).data
    let was = data["alreadyDeleted"]?.bool == true || data["alreadyRemoved"]?.bool == true
    let until = data["purgeAfter"]?.string.map { "; an operator can restore it until \($0.text)" } ?? ""
    print("\(secret)\(field.map { "/" + $0 } ?? "") \(was ? "was deleted already" : "is deleted")\(until)")
  }
}

struct History: AgentCommand {
  static let configuration = CommandConfiguration(commandName: "history", abstract: "Show who did what with a secret, the newest first.")

  @OptionGroup var server: AgentOptions
  @OptionGroup var place: ScopeOption
  @Argument(help: "The secret's id.") var secret: String
  @Option(help: "At most this many entries.") var limit: Int = 50
  @Flag(help: "Print one JSON object a line.") var json = false

  func validate() throws {
    try NameRule.secret(secret)
    if limit < 1 { throw ValidationError("--limit takes a number from 1") }
  }

  func run(_ client: AgentClient) throws {
    let scope = try place.scope.resolved(by: client)
    try client.pages("\(scope.path)/\(secret)/history", limit: limit) { entry in
      if json { return Output.line(entry) }
      func text(_ name: JSONString) -> String { entry[name]?.string?.text ?? "" }
      let actor = entry["actor"]?.object
      let who = actor?["name"]?.string?.text ?? actor?["id"]?.string?.text ?? ""
      Output.columns([text("at"), text("outcome"), text("action"), text("fieldKey"), who])
    }
  }
}
