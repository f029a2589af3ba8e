package import StrictJSON

/// A request about a conversation on its way to an agent server, with its tokens opened (settings spec, sections 10.1 to
/// 10.4, 10.8).
package struct ConversationRequest: Sendable {
  package enum Failure: Error, Sendable, Equatable {
    case body([ValidationIssue])
    /// JSON pointers of tokens that no key opens (D2).
    case tokensDoNotOpen([String])
  }

  /// As it is forwarded.
  package private(set) var body: JSONObject
  /// The tokens that were opened here.
  package private(set) var opened: [OpenedSecret]
  /// Lower case, with dashes.
  package let conversation: String
  /// The agent profile that is to be put in the place of its id.
  package private(set) var agentProfile: String?
  /// The id and revision of the agent profile that was launched.
  package private(set) var launchedProfile: JSONValue?

  /// Every secret text of the body, opened here or not.
  package var secrets: [OpenedSecret] { SecretOpener.secrets(of: body, as: ConversationStartTables.secretPlaces(of: body)) }

  // MARK: - Start

  /// Reads `POST /api/conversations`. Without an id in it, `freshID` becomes the conversation's.
  package init(starting body: JSONValue, freshID: String, now: UTCTime, opening: @escaping (JSONString) -> TokenOpening)
    throws(Failure)
  {
    guard var object = body.object else { throw .body([.notObject(["body"])]) }
    try Self.check(object)
    let conversation = object["conversation_id"]?.string.flatMap { UUIDText.canonical($0.utf8) } ?? freshID
    object["conversation_id"] = .string(JSONString(conversation))
    var agentProfile: String?
    if let id = object["agent_profile_id"]?.string {
      agentProfile = UUIDText.canonical(id.utf8)
      object["agent_profile_id"] = nil
    }
    // `agent_settings` counts only where `agent` is absent.
    let settings = object["agent"]?.object == nil ? object["agent_settings"]?.object : nil
    if let settings { object["agent_settings"] = .object(try Self.migrated(settings)) }
    self.conversation = conversation
    self.agentProfile = agentProfile
    (self.body, opened) = try Self.opened(object, opening)
    if let settings = self.body["agent_settings"]?.object, agentProfile == nil, self.body["agent"]?.object == nil {
      self.body["agent_settings"] = .object(try Self.checked(settings, now: now))
    }
  }

  private static func check(_ object: JSONObject) throws(Failure) {
    var issues = BodyIssues.of(.object(object), as: ConversationStartTables.request, at: ["body"])
    for name in ["agent_profile_id", "conversation_id", "parent_conversation_id"] as [JSONString] {
      if let id = object[name]?.string, UUIDText.canonical(id.utf8) == nil {
        issues.append(.other("uuid_parsing", ["body", .name(name)], "Input should be a valid UUID"))
      }
    }
    if let agent = object["agent"]?.object { issues += AgentObject.issues(agent) }
    if let secrets = object["secrets"]?.object { issues += ConversationSecrets.issues(secrets, takesText: false) }
    issues += tagIssues(object["tags"]?.object)
    guard issues.isEmpty else { throw .body(issues) }
    func has(_ name: JSONString) -> Bool { object[name].map { !$0.isNull } ?? false }
    if has("agent_profile_id") {
      guard !has("agent"), !has("agent_settings") else {
        throw .body([.valueError(["body"], "`agent_profile_id` is mutually exclusive with `agent` and `agent_settings`")])
      }
    } else if !has("agent"), !has("agent_settings") {
      throw .body([.valueError(["body"], "One of `agent`, `agent_settings`, or `agent_profile_id` must be provided")])
    }
  }

  private static func tagIssues(_ tags: JSONObject?) -> [ValidationIssue] {
    (tags?.members ?? []).compactMap { member in
      let place: [ValidationIssue.Step] = ["body", "tags", .name(member.name)]
      let isKey = !member.name.utf8.isEmpty && member.name.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
      if !isKey { return .valueError(place, "a tag's name has lower-case letters and digits only") }
      guard let text = member.value.string, text.text.unicodeScalars.count > 256 else { return nil }
      return .tooLong(place, maximum: 256)
    }
  }

  private static func migrated(_ settings: JSONObject) throws(Failure) -> JSONObject {
    do { return try Migration.agent(settings) } catch { throw unfit }
  }

  /// The whole settings document, with what was left out filled in.
  private static func checked(_ settings: JSONObject, now: UTCTime) throws(Failure) -> JSONObject {
    guard let kind = settings["agent_kind"]?.string, let record = AgentTables.record(kind: kind, now: JSONString(now.preciseText)) else {
      throw unfit
    }
    let issues = BodyIssues.of(.object(settings), as: record, at: ["body", "agent_settings"])
    guard issues.isEmpty else { throw .body(issues) }
    var validator = Validator(base: .null) { _ in .notAToken }
    do { return try validator.record(record, .object(settings)) } catch { throw unfit }
  }

  private static var unfit: Failure { .body([.valueError(["body", "agent_settings"], "the settings do not validate")]) }

  /// The same with an agent profile's settings in the place of its id.
  package func launching(_ settings: JSONObject, of profile: AgentProfile) -> ConversationRequest {
    var result = self
    result.launchedProfile = ["agent_profile_id": .string(JSONString(profile.id)), "revision": profile["revision"]]
    result.body["agent_settings"] = .object(settings)
    result.opened += SecretOpener.secrets(
      of: JSONObject(uniqueMembers: [.init(name: "agent_settings", value: .object(settings))]),
      as: ConversationStartTables.secretPlaces(of: result.body))
    result.agentProfile = nil
    return result
  }

  // MARK: - A conversation that runs

  /// Reads `POST /api/conversations/{id}/secrets`. Texts and objects with a `value` become static secrets.
  package init(secrets body: JSONValue, conversation: String, opening: @escaping (JSONString) -> TokenOpening) throws(Failure) {
    guard var object = body.object else { throw .body([.notObject(["body"])]) }
    guard let given = object["secrets"] else { throw .body([.missing(["body", "secrets"])]) }
    guard let secrets = given.object else { throw .body([.notDictionary(["body", "secrets"])]) }
    var issues = ConversationSecrets.issues(secrets, takesText: true)
    if let flag = object["secrets_encrypted"], (try? Lax.boolean(flag)) == nil {
      issues.append(.notBoolean(flag, ["body", "secrets_encrypted"]))
    }
    guard issues.isEmpty else { throw .body(issues) }
    object["secrets"] = .object(ConversationSecrets.sources(secrets))
    (self.body, opened) = try Self.opened(object, opening)
    self.body["secrets_encrypted"] = nil
    self.conversation = conversation
  }

  /// Reads `POST /api/conversations/{id}/switch_llm`: whatever looks like a token is one (rule L).
  package init(switching body: JSONValue, conversation: String, opening: @escaping (JSONString) -> TokenOpening) throws(Failure) {
    guard var object = body.object else { throw .body([.notObject(["body"])]) }
    guard let llm = object["llm"] else { throw .body([.missing(["body", "llm"])]) }
    let issues = BodyIssues.of(llm, as: AgentTables.llm, at: ["body", "llm"])
    guard issues.isEmpty else { throw .body(issues) }
    object["secrets_encrypted"] = true
    (self.body, opened) = try Self.opened(object, opening)
    self.body["secrets_encrypted"] = nil
    self.conversation = conversation
  }

  /// `switch_llm` to a stored profile's model.
  package init(switchingTo llm: JSONObject, conversation: String) {
    body = JSONObject(uniqueMembers: [.init(name: "llm", value: .object(llm))])
    opened = []
    self.conversation = conversation
    opened = secrets
  }

  // MARK: - Secrets

  /// Opens what `secrets_encrypted` marks and takes the mark away; without it tokens are texts like any other (section 2.7).
  private static func opened(_ body: JSONObject, _ opening: @escaping (JSONString) -> TokenOpening) throws(Failure) -> (
    JSONObject, [OpenedSecret]
  ) {
    var body = body
    let isMarked = body["secrets_encrypted"].flatMap { try? Lax.boolean($0) } ?? false
    body["secrets_encrypted"] = false
    guard isMarked else { return (body, []) }
    var opener = SecretOpener(opening)
    let result = opener.object(body, as: ConversationStartTables.secretPlaces(of: body))
    guard opener.unopened.isEmpty else { throw .tokensDoNotOpen(opener.unopened) }
    return (result, opener.opened)
  }

  /// Puts what `change` gives in the place of each secret source; nil keeps it.
  package mutating func replaceSources<E: Error>(_ change: (JSONString, JSONValue) throws(E) -> JSONValue?) throws(E) {
    for path in [["secrets"], ["agent", "agent_context", "secrets"], ["agent_settings", "agent_context", "secrets"]] as [[JSONString]] {
      body = try Self.changed(body, at: path[...]) { sources throws(E) in
        var result = sources
        for member in sources.members { if let value = try change(member.name, member.value) { result[member.name] = value } }
        return result
      }
    }
  }

  private static func changed<E: Error>(
    _ object: JSONObject, at path: ArraySlice<JSONString>, _ change: (JSONObject) throws(E) -> JSONObject
  )
    throws(E) -> JSONObject
  {
    guard let name = path.first else { return try change(object) }
    guard let inner = object[name]?.object else { return object }
    var result = object
    result[name] = .object(try changed(inner, at: path.dropFirst(), change))
    return result
  }
}
