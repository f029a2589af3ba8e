package import StrictJSON

/// A launch recipe without secrets (settings spec, section 9.2).
package struct AgentProfile: Sendable {
  /// Every member as it is served: the server's own first, then those of the kind.
  private var members: JSONObject

  package enum Failure: Error, Sendable {
    case body(BodyError)
    /// A schema version that this server does not know.
    case unknownVersion
  }

  private static let version: Int64 = 2
  private static let serverOwned: [JSONString] = ["schema_version", "id", "name", "revision"]

  package var id: String { members["id"]?.string?.text ?? "" }
  package var name: String { members["name"]?.string?.text ?? "" }
  package var kind: JSONString { members["agent_kind"]?.string ?? "openhands" }
  /// The LLM profile that an OpenHands agent names.
  package var llmProfile: String? { members["llm_profile_ref"]?.string?.text }
  package var serverRefs: [String]? { members["mcp_server_refs"]?.array.map { $0.compactMap { $0.string?.text } } }
  package var json: JSONValue { .object(members) }

  package subscript(name: JSONString) -> JSONValue { members[name] ?? .null }

  /// Reads the stored form.
  package init(stored: JSONValue) throws(SettingsError) {
    guard let members = stored.object, members["id"]?.string != nil, members["name"]?.string != nil else { throw .invalid }
    self.members = members
  }

  /// Reads the body of a save. Id, name and revision are the server's: the id stays for life, the revision counts saves.
  package init(saving body: JSONValue, name: String, over stored: AgentProfile?, freshID: String) throws(Failure) {
    guard let object = body.object else { throw .body(BodyError(issues: [.notDictionary(["body"])])) }
    try Self.checkVersion(object["schema_version"])
    let kind = try Self.kind(object)
    let record = kind == "acp" ? Self.acp : Self.openHands
    let given = JSONObject(uniqueMembers: object.members.filter { !Self.serverOwned.contains($0.name) })
    let place: [ValidationIssue.Step] = [.name(kind)]
    let issues = Self.issuesOfOwned(object, at: place) + BodyIssues.of(.object(given), as: record, at: place)
    guard issues.isEmpty else { throw .body(BodyError(issues: issues.map(\.withoutContext))) }
    var validator = Validator(base: .null) { _ in .notAToken }
    let checked: JSONObject
    do { checked = try validator.record(record, .object(given)) } catch { throw .body(BodyError(issues: [.notDictionary(place)])) }
    let revision = (stored?.members["revision"]?.number?.int64).map { $0 + 1 } ?? 0
    self.init(id: stored?.id ?? freshID, name: name, revision: revision, checked)
  }

  /// Reads a file of an agent server; id and revision are kept. Files of version 1 may carry `skills`, which nothing reads.
  init(openHands file: JSONValue, name: String) throws(Failure) {
    guard var object = file.object, let id = object["id"]?.string, UUIDText.isValid(id.utf8) else {
      throw .body(BodyError(issues: [.notDictionary([])]))
    }
    object["skills"] = nil
    try self.init(saving: .object(object), name: name, over: nil, freshID: id.text)
    if let revision = object["revision"]?.number?.int64, revision >= 0 { members["revision"] = .number(JSONNumber(revision)) }
  }

  private init(id: String, name: String, revision: Int64, _ rest: JSONObject) {
    let own: [JSONObject.Member] = [
      .init(name: "schema_version", value: .number(JSONNumber(Self.version))), .init(name: "id", value: .string(JSONString(id))),
      .init(name: "name", value: .string(JSONString(name))), .init(name: "revision", value: .number(JSONNumber(revision))),
    ]
    members = JSONObject(uniqueMembers: own + rest.members)
  }

  private static func checkVersion(_ value: JSONValue?) throws(Failure) {
    guard let value, !value.isNull else { return }
    guard let number = value.number?.int64, (1...version).contains(number) else { throw .unknownVersion }
  }

  private static func kind(_ object: JSONObject) throws(Failure) -> JSONString {
    switch object["agent_kind"] {
    case nil: return "openhands"
    case .null?:
      let text = "Unable to extract tag using discriminator _agent_profile_discriminator()"
      throw .body(BodyError(issues: [.other("union_tag_not_found", [], text)]))
    case .string(let kind)? where kind == "openhands" || kind == "acp": return kind
    case _?:
      let text = "Input tag found using _agent_profile_discriminator() does not match any of the expected tags: 'openhands', 'acp'"
      throw .body(BodyError(issues: [.other("union_tag_invalid", [], text)]))
    }
  }

  /// What is wrong with members that are replaced anyway.
  private static func issuesOfOwned(_ object: JSONObject, at place: [ValidationIssue.Step]) -> [ValidationIssue] {
    var issues: [ValidationIssue] = []
    if let id = object["id"] {
      if let text = id.string {
        if !UUIDText.isValid(text.utf8) { issues.append(.other("uuid_parsing", place + ["id"], "Input should be a valid UUID")) }
      } else {
        issues.append(.other("uuid_type", place + ["id"], "UUID input should be a string, bytes or UUID object"))
      }
    }
    if let revision = object["revision"] {
      let record = Record([Field("revision", .integer(.atLeast(0)), 0)])
      issues += BodyIssues.of(.object(JSONObject(uniqueMembers: [.init(name: "revision", value: revision)])), as: record, at: place)
    }
    return issues
  }

  // MARK: - Changes

  package func renamed(_ name: String) -> AgentProfile {
    var result = self
    result.members["name"] = .string(JSONString(name))
    return result
  }

  /// The same naming another LLM profile; the revision counts saves and stays.
  package func referring(to llmProfile: String) -> AgentProfile {
    var result = self
    result.members["llm_profile_ref"] = .string(JSONString(llmProfile))
    return result
  }

  // MARK: - The first one

  /// A profile `default` that says what the settings say now.
  package init(seed settings: SettingsDocument, llmProfile: String, id: String) {
    let agent = settings.agent
    let context = agent["agent_context"]?.object
    let kind = agent["agent_kind"]?.string ?? "openhands"
    let record = kind == "acp" ? Self.acp : Self.openHands
    var given: [(JSONString, JSONValue)] = []
    for field in record.fields {
      switch field.name {
      case "mcp_server_refs": break
      case "llm_profile_ref": given.append((field.name, .string(JSONString(llmProfile))))
      case "system_message_suffix": given.append((field.name, context?[field.name] ?? .null))
      case "disabled_skills", "verification": break
      case "acp_command": given.append((field.name, Self.command(agent["acp_command"]?.array ?? [])))
      case "acp_args": given.append((field.name, agent["acp_args"]?.array.map { $0.isEmpty ? .null : .array($0) } ?? .null))
      default: if let value = agent[field.name] { given.append((field.name, value)) }
      }
    }
    var members = AgentTables.defaults(of: record, given: given)
    if kind != "acp", let verification = agent["verification"]?.object {
      members["verification"] = .object(JSONObject(uniqueMembers: verification.members.filter { $0.name != "critic_api_key" }))
    }
    self.init(id: id, name: "default", revision: 0, members)
  }

  private static func command(_ words: [JSONValue]) -> JSONValue {
    let words = words.compactMap { $0.string?.text }
    return words.isEmpty ? .null : .string(JSONString(ShellWords.join(words)))
  }

  // MARK: - Tables

  static let openHands = Record(
    [
      Field("mcp_server_refs", .list(.text()), .null),
      Field("agent_kind", .choice(["openhands"]), "openhands"),
      Field("llm_profile_ref", .text(minimum: 1), nil),
      Field("agent", .text(), "CodeActAgent"),
      Field("tools", .list(.record(AgentTables.tool)), .null),
      Field("system_message_suffix", .text(), .null),
      Field("disabled_skills", .list(.text()), []),
      Field("condenser", AgentTables.condenser, .object(AgentTables.defaults(of: AgentTables.summarizingCondenser, given: []))),
      Field("verification", .record(verification), .object(AgentTables.defaults(of: verification, given: []))),
      Field("enable_sub_agents", .boolean, false),
      Field("enable_switch_llm_tool", .boolean, true),
      Field("tool_concurrency_limit", .integer(.atLeast(1)), 1),
    ], unknown: .refused)

  static let acp = Record(
    [
      Field("mcp_server_refs", .list(.text()), .null),
      Field("agent_kind", .choice(["acp"]), "acp"),
      Field("acp_server", .choice(["claude-code", "codex", "gemini-cli", "custom"]), "claude-code"),
      Field("acp_model", .text(), .null),
      Field("acp_session_mode", .text(), .null),
      Field("acp_prompt_timeout", .number(.above(0)), .decimal("1800.0")),
      Field("acp_startup_timeout", .number(.above(0)), .decimal("90.0")),
      Field("acp_command", .text(), .null),
      Field("acp_args", .list(.text()), .null),
    ], unknown: .refused)

  /// Without the key: a recipe holds no secret, and one that is sent along is dropped.
  private static let verification = Record(AgentTables.verification.fields.filter { $0.name != "critic_api_key" })
}

/// UUIDs in their usual text form (RFC 9562, section 4).
package enum UUIDText {
  package static func isValid(_ text: [UInt8]) -> Bool {
    guard text.count == 36 else { return false }
    return text.enumerated().allSatisfy { index, byte in
      switch index {
      case 8, 13, 18, 23: byte == UInt8(ascii: "-")
      default: (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
      }
    }
  }

  /// The form with dashes in lower case; the one without dashes is taken too. nil for other text.
  package static func canonical(_ text: [UInt8]) -> String? {
    let digits = text.count == 32 ? text : text.filter { $0 != UInt8(ascii: "-") }
    guard digits.count == 32, text.count == 32 || isValid(text) else { return nil }
    let lower = String(decoding: digits, as: UTF8.self).lowercased()
    let dashed = [(0, 8), (8, 4), (12, 4), (16, 4), (20, 12)].map { start, count in String(lower.dropFirst(start).prefix(count)) }
      .joined(separator: "-")
    return isValid(Array(dashed.utf8)) ? dashed : nil
  }

  /// Version 4 (section 5.4) of 16 random bytes.
  package static func random(_ bytes: [UInt8]) -> String {
    var bytes = bytes
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return [digits[0..<4], digits[4..<6], digits[6..<8], digits[8..<10], digits[10..<16]].map { $0.joined() }.joined(separator: "-")
  }
}
