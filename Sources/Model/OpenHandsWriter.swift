package import StrictJSON

/// Makes the files of an agent server's persistence folder (settings spec, section 11): every secret as `seal` makes it.
package struct OpenHandsWriter<Failure: Error> {
  /// Paths below the folder, and what the files hold.
  package private(set) var files: [(path: String, content: JSONValue)] = []
  /// `FILE#POINTER` of what is sealed here and what the agent server keeps and uses as it stands (docs/decisions/0004).
  package private(set) var notOpened: [String] = []

  private let seal: (JSONString) throws(Failure) -> [UInt8]
  private var secrets = JSONObject()
  private var connections: [JSONValue] = []

  package init(sealing seal: @escaping (JSONString) throws(Failure) -> [UInt8]) { self.seal = seal }

  package mutating func add(_ settings: SettingsDocument) throws(Failure) {
    let shown = Self.parsed(try settings.rendered().encrypted(seal))
    var file: JSONObject = JSONObject(uniqueMembers: [.init(name: "schema_version", value: 2)])
    for name in ["agent_settings", "conversation_settings", "active_profile", "active_agent_profile_id", "misc_settings"] as [JSONString] {
      file[name] = shown[name] ?? .null
    }
    files.append(("settings.json", .object(file)))
    note(settings.llmProfile, "settings.json#/agent_settings/llm/")
  }

  package mutating func add(_ name: SecretName, value: JSONString, description: String?) throws(Failure) {
    secrets[JSONString(name.text)] = [
      "name": .string(JSONString(name.text)), "secret": try sealed(value),
      "description": description.map { .string(JSONString($0)) } ?? .null,
    ]
  }

  package mutating func add(_ profile: LLMProfile, _ name: String) throws(Failure) {
    let shown = Self.parsed(try profile.rendered().encrypted(seal))
    var file = JSONObject(uniqueMembers: shown.members.filter { !$0.value.isNull })
    file["schema_version"] = 1
    files.append(("profiles/\(name).json", .object(file)))
    note(profile, "profiles/\(name).json#/")
  }

  package mutating func add(_ profile: AgentProfile) {
    files.append(("agent-profiles/\(profile.name).json", profile.json))
  }

  package mutating func add(_ connection: ProviderConnection) throws(Failure) {
    connections.append([
      "id": .string(JSONString(connection.id)), "display_name": .string(connection.displayName), "provider": .string(connection.provider),
      "api_key": try connection.apiKey.map(sealed) ?? .null, "base_url": connection.baseURL.map(JSONValue.string) ?? .null,
      "created_at": .number(JSONNumber(connection.createdAt)), "updated_at": .number(JSONNumber(connection.updatedAt)),
    ])
  }

  package mutating func add(_ workspaces: Workspaces) {
    var file: JSONObject = JSONObject(uniqueMembers: [.init(name: "schema_version", value: 1)])
    for member in workspaces.json.object?.members ?? [] { file[member.name] = member.value }
    files.append(("workspaces.json", .object(file)))
  }

  /// The files that hold many things, after the last of them.
  package mutating func end() {
    files.append(("secrets.json", ["custom_secrets": .object(secrets)]))
    if !connections.isEmpty {
      files.append(
        ("provider-connections/provider_connections.json", ["schema_version": 1, "connections": .array(connections)]))
    }
  }

  private func sealed(_ text: JSONString) throws(Failure) -> JSONValue { .string(JSONString(utf8: try seal(text))) }

  private mutating func note(_ profile: LLMProfile?, _ place: String) {
    notOpened += profile?.membersSealedByUsAlone.map { place + $0.text } ?? []
  }

  /// What we rendered ourselves.
  private static func parsed(_ json: [UInt8]) -> JSONObject {
    let limits = JSONLimits(bytes: json.count, depth: 256, members: 10_000_000)
    return (try? JSONValue.parse(json, limits: limits))?.object ?? JSONObject()
  }
}
