package import StrictJSON

/// One MCP server as a body of `/api/settings/mcp/{key}` brings it (settings spec, section 6).
package struct MCPServerBody: Sendable {
  let object: JSONObject

  /// A whole server, for POST.
  package init(whole body: JSONValue) throws(BodyError) { object = try Self.checked(body, isSparse: false) }

  /// A merge patch, for PATCH: absent keeps, null removes.
  package init(sparse body: JSONValue) throws(BodyError) { object = try Self.checked(body, isSparse: true) }

  private static func checked(_ body: JSONValue, isSparse: Bool) throws(BodyError) -> JSONObject {
    var issues = BodyIssues.of(body, as: MCPTables.server, at: ["body"], isSparse: isSparse)
    guard let object = body.object else { throw BodyError(issues: issues) }
    if issues.isEmpty, !isSparse, let text = MCPTables.contradiction(in: object) { issues = [.valueError(["body"], text)] }
    guard issues.isEmpty else { throw BodyError(issues: issues) }
    return object
  }
}

/// A change of one MCP server.
package enum MCPChange: Sendable {
  case add(MCPServerBody)
  case merge(MCPServerBody)
  case remove
}

extension SettingsDocument {
  package enum MCPFailure: Error, Sendable {
    case absent, taken
    case settings(SettingsError)
  }

  private static let servers: JSONString = "mcp_config"

  /// The document with one server changed; its siblings stay as they are, tokens and all.
  package func changingServer(_ key: JSONString, _ change: MCPChange, opening: @escaping (JSONString) -> TokenOpening) throws(MCPFailure)
    -> SettingsDocument
  {
    var servers = agent[Self.servers]?.object ?? JSONObject()
    let stored = servers[key]?.object
    switch (change, stored) {
    case (.add, _?): throw .taken
    case (.merge, nil), (.remove, nil): throw .absent
    case (.remove, _?): servers[key] = nil
    case (.add(let body), nil): servers[key] = .object(try Self.server(body.object, base: .null, opening))
    case (.merge(let body), let stored?):
      servers[key] = .object(try Self.server(try Self.merged(stored, body.object), base: .object(stored), opening))
    }
    var result = self
    result.setAgentMember(Self.servers, .object(servers))
    return result
  }

  private static func server(_ object: JSONObject, base: JSONValue, _ opening: @escaping (JSONString) -> TokenOpening) throws(MCPFailure)
    -> JSONObject
  {
    var validator = Validator(base: base, opening: opening)
    let server: JSONObject
    do { server = try validator.record(MCPTables.server, .object(object)) } catch { throw .settings(.invalid) }
    guard validator.unopened.isEmpty else { throw .settings(.tokensDoNotOpen(validator.unopened)) }
    return server
  }

  /// A merge patch; what an `auth` leaves out, nulls, masks or empties stays as it is stored, however deep.
  private static func merged(_ stored: JSONObject, _ patch: JSONObject) throws(MCPFailure) -> JSONObject {
    var patch = patch
    if let auth = patch["auth"], !auth.isNull {
      // Tokens are opened where the merged server is checked.
      var validator = Validator(base: .null) { _ in .notAToken }
      do { patch["auth"] = try validator.check(MCPTables.auth, auth) } catch { throw .settings(.invalid) }
    }
    return Merge.nested(stored, patch)
  }
}
