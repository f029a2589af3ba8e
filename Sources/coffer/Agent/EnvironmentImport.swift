internal import ArgumentParser
internal import EnvironmentFiles
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

extension EnvironmentCommand {
  struct Import: AgentCommand {
    static let configuration = CommandConfiguration(
      commandName: "import", abstract: "Store the variables of a .env file as fields of one secret, sealed on this machine.",
      discussion: """
        First says what it would do; then stores all of it in one step, or nothing. A variable's name becomes the field's key as it \
        is, an empty value is a value, and fields that the file does not name stay. A secret that does not exist is made. A line that \
        programs read in different ways is refused with its number. `coffer env export --secret ID:` gives the names back in upper case.
        """)

    @OptionGroup var server: AgentOptions
    @OptionGroup var place: ScopeOption
    @Argument(help: "The .env file.") var file: String
    @Option(help: "The secret's id.") var secret: String
    @Flag(help: "Send the values as they are, for what is no secret.") var plaintext = false
    @Flag(help: "Only say what would be done.") var dryRun = false

    func validate() throws { try NameRule.secret(secret) }

    func run(_ client: AgentClient) throws {
      let variables = try Self.variables(of: file)
      let scope = try place.scope.resolved(by: client)
      let stored = try StoredSecret(secret, in: scope, client)
      for variable in variables { print(stored?.fields.contains(variable.name) == true ? "replaces" : "adds", variable.name) }
      let kept = (stored?.fields ?? []).filter { key in !variables.contains { $0.name == key } }
      for key in kept { print("keeps", key) }
      guard !dryRun else { return }
      let sealing = LocalSealing(client: client, scope: scope)
      var body = stored?.metadata ?? JSONObject()
      body["fields"] = .array(
        try kept.map { ["key": .text($0), "keep": true] } + variables.map { try field($0, sealing) })
      try Self.put(.object(body), to: "\(scope.path)/\(secret)", after: stored, client)
      Notice.print("\(secret) is stored in \(scope.kind) \(scope.name)")
    }

    private static func variables(of file: String) throws -> [Variable] {
      var bytes: [UInt8]
      do { bytes = try Folder.contents(of: file, limit: 1 << 20) } catch { throw AgentFailure(.usage, "\(error)") }
      defer { erase(&bytes) }
      let variables: [Variable]
      do throws(DotenvProblem) { variables = try DotenvFile(parsing: SecretBytes(copying: bytes)).variables } catch {
        throw AgentFailure(.usage, "\(file), line \(error.line): \(error.reason.rawValue); nothing was stored")
      }
      guard !variables.isEmpty else { throw AgentFailure(.usage, "\(file) holds no variable") }
      guard variables.allSatisfy({ $0.name.utf8.count <= 64 }) else {
        throw AgentFailure(.usage, "\(file) holds a name of more than 64 characters; nothing was stored")
      }
      return variables
    }

    private func field(_ variable: Variable, _ sealing: LocalSealing) throws -> JSONValue {
      if plaintext {
        let value = variable.value.withBytes { bytes in unsafe bytes.withUnsafeBytes { JSONString(utf8: unsafe Array($0)) } }
        return ["key": .text(variable.name), "sensitivity": "plaintext", "value": .string(value)]
      }
      let envelope = try sealing.seal(variable.value, secret: secret, field: variable.name)
      return ["key": .text(variable.name), "sensitivity": "encrypted", "envelope": envelope.json]
    }

    /// Asks for a new secret; the refusal names the tag of one that is there. It is replaced when it is still what was listed.
    private static func put(_ body: JSONValue, to path: String, after stored: StoredSecret?, _ client: AgentClient) throws {
      do {
        _ = try client.send("PUT", path, body, fields: [("If-None-Match", "*")])
      } catch let failure as AgentFailure where failure.code == "precondition_failed" {
        guard let stored, let tag = failure.entityTag, tag.hasPrefix("\"s\(stored.revision)-") else {
          throw AgentFailure(.conflict, "the secret was changed meanwhile; nothing was stored, repeat the import", code: failure.code)
        }
        _ = try client.send("PUT", path, body, fields: [("If-Match", tag)])
      }
    }
  }
}

/// What the listing says of a secret: enough to replace it without losing anything.
private struct StoredSecret {
  let fields: [String]
  let revision: Int64
  let metadata: JSONObject

  /// nil when there is none.
  init?(_ id: String, in scope: Scope, _ client: AgentClient) throws {
    var found: JSONObject?
    try client.pages(scope.path, [("q", id)]) { row in if row["secretId"]?.string?.text == id { found = row } }
    guard let found else { return nil }
    fields = (found["fields"]?.array ?? []).compactMap { $0.object?["fieldKey"]?.string?.text }
    revision = found["revision"]?.number?.int64 ?? 0
    var metadata = JSONObject()
    for name in ["secretName", "category", "tags"] as [JSONString] { metadata[name] = found[name] }
    self.metadata = metadata
  }
}
