package import StrictJSON

/// The settings of a tenant, in the clear (settings spec, section 4).
package struct SettingsDocument: Sendable {
  /// Where the pointers of refused tokens start.
  static let agentDiff: JSONString = "agent_settings_diff"

  private(set) var agent: JSONObject
  private(set) var conversation: JSONObject
  private(set) var misc: JSONObject
  package private(set) var activeProfile: JSONValue
  package private(set) var activeAgentProfile: JSONValue

  /// The provider connection that the active model names.
  package var connection: String? { agent["llm"]?.object.flatMap { LLMProfile(llm: $0).connection } }

  /// The same with the connection's key and address in the active model.
  package func following(_ connection: ProviderConnection) -> SettingsDocument {
    var result = self
    if let llm = agent["llm"]?.object { result.agent["llm"] = .object(LLMProfile(llm: llm).resolved(with: connection)) }
    return result
  }

  package var kind: JSONString { agent["agent_kind"]?.string ?? "openhands" }

  /// The active model as a profile would hold it.
  package var llmProfile: LLMProfile? { agent["llm"]?.object.map(LLMProfile.init(llm:)) }

  package func withActiveAgentProfile(_ id: String?) -> SettingsDocument {
    var result = self
    result.activeAgentProfile = id.map { .string(JSONString($0)) } ?? .null
    return result
  }

  package func withActiveProfile(_ name: String?) -> SettingsDocument {
    var result = self
    result.activeProfile = name.map { .string(JSONString($0)) } ?? .null
    return result
  }

  /// The same with a profile's whole model as the active one. The model was validated when the profile was saved.
  package func activating(_ llm: JSONObject, of profile: String) -> SettingsDocument {
    var result = withActiveProfile(profile)
    result.agent["llm"] = .object(llm)
    return result
  }

  mutating func setAgent(_ agent: JSONObject) { self.agent = agent }
  mutating func setConversation(_ conversation: JSONObject) { self.conversation = conversation }
  mutating func setMisc(_ misc: JSONObject) { self.misc = misc }
  mutating func setAgentMember(_ name: JSONString, _ value: JSONValue) { agent[name] = value }

  /// What is served before anyone stored anything.
  package static func defaults(now: UTCTime) -> SettingsDocument {
    let time = JSONString(now.preciseText)
    let agent = AgentTables.record(kind: "openhands", now: time).map { AgentTables.defaults(of: $0, given: []) }
    return SettingsDocument(
      agent: agent ?? JSONObject(), conversation: AgentTables.defaults(of: ConversationTables.record, given: []), misc: JSONObject(),
      activeProfile: .null, activeAgentProfile: .null)
  }

  private init(agent: JSONObject, conversation: JSONObject, misc: JSONObject, activeProfile: JSONValue, activeAgentProfile: JSONValue) {
    self.agent = agent
    self.conversation = conversation
    self.misc = misc
    self.activeProfile = activeProfile
    self.activeAgentProfile = activeAgentProfile
  }

  /// The stored document as it was rendered with its secrets in the clear.
  package init(_ rendered: RenderedSettings) throws(SettingsError) {
    guard let document = (try? JSONValue.parse(rendered.json, limits: .stored))?.object, let agent = document["agent_settings"]?.object,
      let conversation = document["conversation_settings"]?.object, let misc = document["misc_settings"]?.object
    else { throw .invalid }
    self.init(
      agent: agent, conversation: conversation, misc: misc, activeProfile: document["active_profile"] ?? .null,
      activeAgentProfile: document["active_agent_profile_id"] ?? .null)
  }

  /// The document after `patch`; the whole patch or nothing of it (section 5.3).
  package func applying(_ patch: SettingsPatch, opening: @escaping (JSONString) -> TokenOpening, now: UTCTime) throws(SettingsError)
    -> SettingsDocument
  {
    var result = self
    do {
      if let diff = patch.agent { result.agent = try agent(after: diff, opening, JSONString(now.preciseText)) }
      if let diff = patch.conversation {
        var validator = Validator(base: .object(conversation)) { _ in .notAToken }
        let merged = try Migration.conversation(Merge.keepingTopNulls(conversation, diff))
        result.conversation = try validator.record(ConversationTables.record, .object(merged))
      }
    } catch let error as SettingsError {
      throw error
    } catch { throw .invalid }
    if let diff = patch.misc { result.misc = Merge.keepingTopNulls(misc, diff) }
    result.activeProfile = patch.activeProfile.applied(to: activeProfile)
    result.activeAgentProfile = patch.activeAgentProfile.applied(to: activeAgentProfile)
    return result
  }

  private func agent(after diff: JSONObject, _ opening: @escaping (JSONString) -> TokenOpening, _ now: JSONString) throws -> JSONObject {
    let (merged, startsOver) = Merge.agent(agent, diff)
    let migrated = try Migration.agent(merged)
    guard let kind = migrated["agent_kind"]?.string, let record = AgentTables.record(kind: kind, now: now) else {
      throw SettingsError.invalid
    }
    // After a change of kind nothing of the old document stands behind a mask.
    var validator = Validator(base: startsOver ? .null : .object(agent), opening: opening)
    let result = try validator.record(record, .object(migrated))
    guard validator.unopened.isEmpty else {
      throw SettingsError.tokensDoNotOpen(validator.unopened.map { "/" + Self.agentDiff.text + $0 })
    }
    return result
  }

  /// The wire document with the places of its secrets.
  package func rendered() -> RenderedSettings {
    var renderer = Renderer()
    renderer.raw("{\"agent_settings\":")
    let kind = agent["agent_kind"]?.string ?? "openhands"
    if let record = AgentTables.record(kind: kind, now: "") { renderer.append(agent, as: record) }
    renderer.raw(",\"conversation_settings\":")
    renderer.plain(.object(conversation))
    let key = agent["llm"]?.object?["api_key"]?.string
    renderer.raw(key.map { !$0.isBlank } ?? false ? ",\"llm_api_key_is_set\":true" : ",\"llm_api_key_is_set\":false")
    renderer.raw(",\"active_profile\":")
    renderer.plain(activeProfile)
    renderer.raw(",\"active_agent_profile_id\":")
    renderer.plain(activeAgentProfile)
    renderer.raw(",\"misc_settings\":")
    renderer.plain(.object(misc))
    renderer.raw("}")
    return renderer.result
  }
}

extension SettingsPatch.Pointer {
  fileprivate func applied(to old: JSONValue) -> JSONValue {
    switch self {
    case .unchanged: old
    case .cleared: .null
    case .set(let text): .string(text)
    }
  }
}

extension JSONLimits {
  /// For what we wrote ourselves: many accepted diffs may add up to more than one body.
  fileprivate static let stored = JSONLimits(bytes: 64 << 20, depth: 256, members: 10_000_000)
}
