package import StrictJSON

/// The body of `PATCH /api/settings` (settings spec, section 5.1).
package struct SettingsPatch: Sendable {
  package enum Failure: Error, Sendable, Equatable {
    case nothingGiven
    case invalid([ValidationIssue])
  }

  package enum Pointer: Sendable, Equatable {
    case unchanged, cleared
    case set(JSONString)
  }

  package static let nothingGivenText =
    "At least one of agent_settings_diff, conversation_settings_diff, misc_settings_diff, active_profile, or active_agent_profile_id must be provided"

  private(set) var agent: JSONObject?
  let conversation: JSONObject?
  let misc: JSONObject?
  let activeProfile: Pointer
  let activeAgentProfile: Pointer

  private static let idPattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

  package init(body: JSONValue) throws(Failure) {
    guard let object = body.object else { throw .invalid([.notObject(["body"])]) }
    var issues: [ValidationIssue] = []
    func diff(_ name: JSONString) -> JSONObject? {
      switch object[name] {
      case nil, .null?: return nil
      case .object(let diff)?: return diff
      case _?:
        issues.append(.notDictionary(["body", .name(name)]))
        return nil
      }
    }
    func pointer(_ name: JSONString, _ pattern: String, _ fits: ([UInt8]) -> Bool) -> Pointer {
      switch object[name] {
      case nil: return .unchanged
      case .null?: return .cleared
      case .string(let text)? where fits(text.utf8): return .set(text)
      case .string?: issues.append(.patternMismatch(["body", .name(name)], pattern: pattern))
      case _?: issues.append(.notText(["body", .name(name)]))
      }
      return .unchanged
    }
    agent = diff("agent_settings_diff")
    conversation = diff("conversation_settings_diff")
    misc = diff("misc_settings_diff")
    activeProfile = pointer("active_profile", ProfileName.pattern, ProfileName.isValid)
    activeAgentProfile = pointer("active_agent_profile_id", Self.idPattern, UUIDText.isValid)
    guard issues.isEmpty else { throw .invalid(issues) }
    guard agent != nil || conversation != nil || misc != nil || activeProfile != .unchanged || activeAgentProfile != .unchanged else {
      throw .nothingGiven
    }
  }

  /// The profile that is to be loaded, when one is named.
  package var activeProfileName: String? {
    if case .set(let name) = activeProfile { name.text } else { nil }
  }

  /// The profile whose model becomes part of the change: the named one, unless the change brings a model itself.
  package var profileToLoad: String? { agent?["llm"] == nil ? activeProfileName : nil }

  /// The same change with a profile's whole model as its `llm`.
  package func adding(llm: JSONObject) -> SettingsPatch {
    var patch = self
    var agent = patch.agent ?? JSONObject()
    agent["llm"] = .object(llm)
    patch.agent = agent
    return patch
  }

  /// Which parts change, as canonical JSON for the audit entry.
  package var auditDetails: String {
    let parts = [
      agent != nil ? "agent_settings" : nil, conversation != nil ? "conversation_settings" : nil, misc != nil ? "misc_settings" : nil,
      activeProfile != .unchanged ? "active_profile" : nil, activeAgentProfile != .unchanged ? "active_agent_profile_id" : nil,
    ].compactMap { $0 }
    return "{\"parts\":[" + parts.map { "\"\($0)\"" }.joined(separator: ",") + "]}"
  }
}
