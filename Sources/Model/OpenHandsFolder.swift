package import StrictJSON

/// What an OpenHands agent server keeps in its persistence folder (settings spec, section 11), read and brought to the
/// current form. Opening is up to the caller; what does not open is listed by file and pointer.
package struct OpenHandsFolder: Sendable {
  package struct Secret: Sendable {
    package let name: SecretName
    package let value: JSONString
    package let description: JSONString?
    /// The folder has the name, but no value.
    package let isEmpty: Bool
  }

  package private(set) var settings: SettingsDocument?
  package private(set) var secrets: [Secret] = []
  package private(set) var profiles: [(name: String, profile: LLMProfile)] = []
  package private(set) var agentProfiles: [AgentProfile] = []
  package private(set) var connections: [ProviderConnection] = []
  package private(set) var workspaces: Workspaces?
  /// `FILE#POINTER` of tokens that do not open.
  package private(set) var unopened: [String] = []
  /// Files, or things in them, that are not what they should be. Names only.
  package private(set) var unreadable: [String] = []

  private let opening: @Sendable (JSONString) -> TokenOpening
  private let now: UTCTime

  /// - Parameter bundle: the files' contents: `settings`, `secrets`, `connections`, `workspaces`, and by name `profiles` and
  ///   `agent_profiles`. Each may be absent.
  package init(_ bundle: JSONObject, opening: @escaping @Sendable (JSONString) -> TokenOpening, now: UTCTime) {
    self.opening = opening
    self.now = now
    if let file = bundle["settings"] { readSettings(file) }
    if let file = bundle["secrets"] { readSecrets(file) }
    for member in bundle["profiles"]?.object?.members ?? [] { readProfile(member) }
    for member in bundle["agent_profiles"]?.object?.members ?? [] { readAgentProfile(member) }
    if let file = bundle["connections"] { readConnections(file) }
    if let file = bundle["workspaces"] { readWorkspaces(file) }
  }

  private mutating func readSettings(_ file: JSONValue) {
    do throws(SettingsError) {
      settings = try SettingsDocument(openHands: file, opening: opening, now: now)
    } catch {
      switch error {
      case .invalid: unreadable.append("settings.json")
      case .tokensDoNotOpen(let pointers): unopened += pointers.map { "settings.json#" + $0 }
      }
    }
  }

  private mutating func readSecrets(_ file: JSONValue) {
    guard let entries = file.object?["custom_secrets"]?.object else { return unreadable.append("secrets.json") }
    for member in entries.members {
      guard let name = SecretName(member.name.utf8) else {
        unreadable.append("secrets.json#/custom_secrets/" + member.name.pointerToken)
        continue
      }
      let entry = member.value.object
      if entry == nil, member.value.string == nil {
        unreadable.append("secrets.json#/custom_secrets/" + member.name.pointerToken)
        continue
      }
      // Rule R: the agent server takes blanks and its mask for no value.
      let text = (member.value.string ?? entry?["secret"]?.string).flatMap { $0.isBlank || $0 == Redaction.mask ? nil : $0 }
      var value: JSONString = ""
      if let text {
        switch opening(text) {
        case .notAToken: value = text
        case .opened(let plaintext): value = plaintext
        case .doesNotOpen: unopened.append("secrets.json#/custom_secrets/" + member.name.pointerToken)
        }
      }
      secrets.append(Secret(name: name, value: value, description: entry?["description"]?.string, isEmpty: text == nil))
    }
  }

  private mutating func readProfile(_ member: JSONObject.Member) {
    let file = "profiles/\(member.name.text).json"
    guard ProfileName.isValid(member.name.utf8) else { return unreadable.append(file) }
    do throws(LLMProfile.Failure) {
      profiles.append((member.name.text, try LLMProfile(saving: ["llm": member.value], over: nil, opening: opening)))
    } catch {
      switch error {
      case .settings(.tokensDoNotOpen(let pointers)): unopened += pointers.map { file + "#" + $0.dropFirst("/llm".count) }
      case .settings(.invalid), .body: unreadable.append(file)
      }
    }
  }

  private mutating func readAgentProfile(_ member: JSONObject.Member) {
    let file = "agent-profiles/\(member.name.text).json"
    guard ProfileName.isValid(member.name.utf8), let profile = try? AgentProfile(openHands: member.value, name: member.name.text) else {
      return unreadable.append(file)
    }
    agentProfiles.append(profile)
  }

  private mutating func readConnections(_ file: JSONValue) {
    let name = "provider-connections/provider_connections.json"
    guard let entries = file.object?["connections"]?.array else { return unreadable.append(name) }
    for (index, entry) in entries.enumerated() {
      guard var object = entry.object, let id = object["id"]?.string?.text else {
        unreadable.append("\(name)#/connections/\(index)")
        continue
      }
      if let key = object["api_key"]?.string {
        switch opening(key) {
        case .notAToken: if key.isBlank || key == Redaction.mask { object["api_key"] = .null }
        case .opened(let plaintext): object["api_key"] = .string(plaintext)
        case .doesNotOpen: unopened.append("\(name)#/connections/\(index)/api_key")
        }
      }
      guard let connection = try? ProviderConnection(stored: .object(object), id: id) else {
        unreadable.append("\(name)#/connections/\(index)")
        continue
      }
      connections.append(connection)
    }
  }

  private mutating func readWorkspaces(_ file: JSONValue) {
    guard let read = try? Workspaces(stored: file) else { return unreadable.append("workspaces.json") }
    workspaces = read
  }
}

extension SettingsDocument {
  /// `settings.json` of an agent server, of its version or an older one (sections 4.11 and 11.2).
  init(openHands file: JSONValue, opening: @escaping (JSONString) -> TokenOpening, now: UTCTime) throws(SettingsError) {
    guard let object = file.object else { throw .invalid }
    switch object["schema_version"] {
    case nil, .null?: break
    case .number(let version)?: guard let version = version.int64, (0...2).contains(version) else { throw .invalid }
    case _?: throw .invalid
    }
    var document = SettingsDocument.defaults(now: now)
    do throws(Validator.Invalid) {
      if let agent = try Self.part("agent_settings", of: object) {
        let migrated = try Migration.agent(agent)
        guard let kind = migrated["agent_kind"]?.string, let record = AgentTables.record(kind: kind, now: JSONString(now.preciseText))
        else {
          throw Validator.Invalid()
        }
        var validator = Validator(base: .null, opening: opening)
        document.setAgent(try validator.record(record, .object(migrated)))
        if !validator.unopened.isEmpty { throw Validator.Invalid(unopened: validator.unopened.map { "/agent_settings" + $0 }) }
      }
      if let conversation = try Self.part("conversation_settings", of: object) {
        var validator = Validator(base: .null) { _ in .notAToken }
        document.setConversation(try validator.record(ConversationTables.record, .object(try Migration.conversation(conversation))))
      }
      if let misc = try Self.part("misc_settings", of: object) { document.setMisc(misc) }
    } catch { throw error.unopened.isEmpty ? .invalid : .tokensDoNotOpen(error.unopened) }
    let profile = object["active_profile"]?.string.flatMap { ProfileName.isValid($0.utf8) ? $0.text : nil }
    let agentProfile = object["active_agent_profile_id"]?.string.flatMap { UUIDText.isValid($0.utf8) ? $0.text : nil }
    self = document.withActiveProfile(profile).withActiveAgentProfile(agentProfile)
  }

  /// nil when it is missing: defaults then stand for it. Something else than an object is not read as nothing.
  private static func part(_ name: JSONString, of file: JSONObject) throws(Validator.Invalid) -> JSONObject? {
    guard let value = file[name], !value.isNull else { return nil }
    guard let object = value.object else { throw Validator.Invalid() }
    return object
  }
}
