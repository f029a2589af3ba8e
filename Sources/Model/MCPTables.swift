internal import StrictJSON

/// MCP servers (settings spec, section 4.5): unknown members are refused, printing is compact.
enum MCPTables {
  static let server = Record(
    [
      Field("url", .text(minimum: 1), .null),
      Field("transport", .choice(["stdio", "http", "sse", "streamable-http"]), .null),
      Field("command", .text(minimum: 1), .null),
      Field("args", .list(.text()), .null),
      Field("env", .secretMap, .null),
      Field("cwd", .text(), .null),
      Field("description", .text(), .null),
      Field("icon", .text(), .null),
      Field("timeout", .number(), .null),
      Field("sse_read_timeout", .number(), .null),
      Field("keep_alive", .boolean, .null),
      Field("headers", .secretMap, .null),
      Field("auth", auth, .null),
      Field("enabled", .boolean, true),
    ], unknown: .refused, isCompact: true
  ) { server in
    contradiction(in: server) == nil
  }

  /// Why these members do not go together; nil when they do.
  static func contradiction(in server: JSONObject) -> String? {
    func has(_ name: JSONString) -> Bool { server[name].map { !$0.isNull } ?? false }
    switch server["transport"]?.string {
    case "stdio"?: if !has("command") { return "stdio MCP servers require 'command'" }
    case nil: break
    case _?: if !has("url") { return "remote MCP servers require 'url'" }
    }
    // A header without a value is none.
    let namesAuthorization =
      server["headers"]?.object?.members.contains { header in
        isAuthorization(header.name) && header.value.string.map { !$0.isBlank && $0 != Redaction.mask } ?? true
      } ?? false
    guard has("auth"), namesAuthorization else { return nil }
    return "'auth' cannot be combined with an explicit top-level 'Authorization' header; use auth.strategy='header' instead."
  }

  static func isAuthorization(_ name: JSONString) -> Bool { name.text.lowercased() == "authorization" }

  static let auth = Shape.tagged(
    .init(
      member: "strategy", fallback: nil,
      variants: [
        Shape.Variant("none", strategy("none", [])),
        Shape.Variant("api_key", strategy("api_key", [Field("value", .secret, .null), Field("header_name", .text(), .null)])),
        Shape.Variant("bearer", strategy("bearer", [Field("value", .secret, .null)])),
        Shape.Variant("basic", strategy("basic", [Field("username", .text(), nil), Field("password", .secret, .null)])),
        Shape.Variant("header", strategy("header", [Field("headers", .secretMap, [:])])),
        Shape.Variant(
          "oauth2", strategy("oauth2", [Field("authentication", .record(authentication), .null), Field("state", .record(state), .null)])),
      ]))

  private static func strategy(_ name: JSONString, _ fields: [Field]) -> Record {
    Record([Field("strategy", .choice([name]), nil)] + fields, isCompact: true) { auth in
      // A state that holds nothing is no state.
      if auth["state"]?.object?.isEmpty == true { auth["state"] = .null }
      return true
    }
  }

  private static let authentication = Record(
    [
      Field("type", .choice(["oauth"]), nil),
      Field("client_auth_method", .choice(["none", "client_secret_post", "client_secret_basic", "private_key_jwt"]), .null),
      Field("scopes", .either(.list(.text()), .text()), .null),
      Field("client_name", .text(), .null),
      Field("client_metadata_url", .text(), .null),
      Field("client_id", .text(), .null),
      Field("client_secret", .secret, .null),
      Field("additional_client_metadata", .object, .null),
    ], unknown: .refused, isCompact: true)

  private static let state = Record(
    [
      Field("tokens", .record(tokens), .null), Field("client_info", .record(clientInformation), .null),
      Field("token_expires_at", .number(), .null),
    ], isCompact: true
  ) { state in
    // Tokens without an access token count as none.
    if state["tokens"]?.object?["access_token"]?.string == nil { state["tokens"] = .null }
    return true
  }

  private static let tokens = Record(
    [Field("access_token", .secret, .null), Field("refresh_token", .secret, .null)], unknown: .kept, isCompact: true)
  private static let clientInformation = Record([Field("client_secret", .secret, .null)], unknown: .kept, isCompact: true)
}
