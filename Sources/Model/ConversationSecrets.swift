package import StrictJSON

/// The `secrets` of a conversation (settings spec, sections 10.4 and 10.8).
package enum ConversationSecrets {
  /// What of a source an agent server may look up here instead of being told.
  package enum Lookup: Sendable, Equatable {
    /// A custom secret of the store, named by a relative URL.
    case stored(SecretName)
    /// A value that the client brought.
    case value(JSONString)
  }

  private static let storedPath = Array("/api/settings/secrets/".utf8)

  /// nil for a source that stays as it is.
  package static func lookup(_ source: JSONValue) -> Lookup? {
    guard let object = source.object else { return source.string.map(Lookup.value) }
    if object["kind"] == "LookupSecret" {
      guard let url = object["url"]?.string?.utf8, url.starts(with: storedPath) else { return nil }
      return SecretName(Array(url.dropFirst(storedPath.count))).map(Lookup.stored)
    }
    return object["value"]?.string.map(Lookup.value)
  }

  /// A source that is looked up at `url` with `token`; the description stays.
  package static func source(_ source: JSONValue, url: String, token: JSONString) -> JSONValue {
    [
      "kind": "LookupSecret", "url": .string(JSONString(url)), "headers": ["X-Session-API-Key": .string(token)],
      "description": source.object?["description"] ?? .null,
    ]
  }

  static func issues(_ secrets: JSONObject, takesText: Bool) -> [ValidationIssue] {
    secrets.members.flatMap { member -> [ValidationIssue] in
      let place: [ValidationIssue.Step] = ["body", "secrets", .name(member.name)]
      guard let source = member.value.object else { return takesText && member.value.string != nil ? [] : [.notObject(place)] }
      switch source["kind"] {
      case nil where takesText && source["value"] != nil: return BodyIssues.of(.object(fixed(source)), as: SecretSources.fixed, at: place)
      case "StaticSecret"?: return BodyIssues.of(member.value, as: SecretSources.fixed, at: place)
      case "LookupSecret"?: return BodyIssues.of(member.value, as: SecretSources.lookup, at: place)
      case let kind:
        return [
          .valueError(
            place,
            "Unknown kind '\(KindName.shown(kind))' for openhands.sdk.secret.secrets.SecretSource; Expected one of: ['LookupSecret', 'StaticSecret']"
          )
        ]
      }
    }
  }

  /// Short forms as sources.
  static func sources(_ secrets: JSONObject) -> JSONObject {
    JSONObject(
      uniqueMembers: secrets.members.map { member in
        switch member.value {
        case .string:
          .init(name: member.name, value: .object(fixed(JSONObject(uniqueMembers: [.init(name: "value", value: member.value)]))))
        case .object(let source) where source["kind"] == nil: .init(name: member.name, value: .object(fixed(source)))
        case .object, .null, .bool, .number, .array: member
        }
      })
  }

  /// As the recorded server does it, without the description.
  private static func fixed(_ source: JSONObject) -> JSONObject {
    JSONObject(uniqueMembers: [.init(name: "kind", value: "StaticSecret"), .init(name: "value", value: source["value"] ?? .null)])
  }
}

/// An agent object, as far as a start without it would fail.
enum AgentObject {
  static func issues(_ agent: JSONObject) -> [ValidationIssue] {
    let place: [ValidationIssue.Step] = ["body", "agent"]
    switch agent["kind"] {
    case "ACPAgent"?: return []
    case nil, "Agent"?:
      guard let llm = agent["llm"] else { return [.missing(place + ["llm"])] }
      guard let object = llm.object else { return [.notObject(place + ["llm"])] }
      return BodyIssues.of(.object(object), as: AgentTables.llm, at: place + ["llm"])
    case let kind:
      return [
        .valueError(
          place, "Unknown kind '\(KindName.shown(kind))' for openhands.sdk.agent.base.AgentBase; Expected one of: ['ACPAgent', 'Agent']")
      ]
    }
  }
}

/// The name of a kind that is not known, in a form fit for a message: no text of another form is repeated (D5).
enum KindName {
  static func shown(_ kind: JSONValue?) -> String {
    guard let text = kind?.string, (1...40).contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) })
    else { return "" }
    return text.text
  }
}
