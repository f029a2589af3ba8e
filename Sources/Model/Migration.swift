internal import StrictJSON

/// Older shapes of the document, brought to the current one step by step (settings spec, section 4.11). Steps work on
/// ciphertext as on plaintext: opening comes after.
enum Migration {
  private static let agentVersion: Int64 = 5
  private static let conversationVersion: Int64 = 1

  static func agent(_ document: JSONObject) throws(Validator.Invalid) -> JSONObject {
    var result = document
    let found = try version(document, upTo: agentVersion)
    if found < 1, result["agent_kind"] == nil { result["agent_kind"] = "openhands" }
    // At any version: the name that version 2 retired is still understood.
    if result["agent_kind"] == "llm" || result["agent_kind"] == nil { result["agent_kind"] = "openhands" }
    if found < 3, var verification = result["verification"]?.object {
      verification["confirmation_mode"] = nil
      verification["security_analyzer"] = nil
      result["verification"] = .object(verification)
    }
    if found < 4, let llm = result["llm"]?.object { result["llm"] = .object(HostedModels.migrated(llm)) }
    if found < 5, let servers = result["mcp_config"]?.object { result["mcp_config"] = .object(MCPMigration.servers(servers)) }
    result["schema_version"] = .number(JSONNumber(agentVersion))
    return result
  }

  static func conversation(_ document: JSONObject) throws(Validator.Invalid) -> JSONObject {
    var result = document
    _ = try version(document, upTo: conversationVersion)
    result["schema_version"] = .number(JSONNumber(conversationVersion))
    return result
  }

  /// Missing or null is 0. Truth values, texts, fractions, negative and newer numbers are refused.
  private static func version(_ document: JSONObject, upTo newest: Int64) throws(Validator.Invalid) -> Int64 {
    switch document["schema_version"] {
    case nil, .null?: return 0
    case .number(let number)?:
      guard let version = number.int64, (0...newest).contains(version) else { throw Validator.Invalid() }
      return version
    case _?: throw Validator.Invalid()
    }
  }
}

/// Step 3 to 4: the hosted proxy's address leaves the document.
private enum HostedModels {
  private static let proxy = "https://llm-proxy.app.all-hands.dev"
  private static let names: Set<JSONString> = [
    "claude-fable-5", "claude-opus-4-5-20251101", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5",
    "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-sonnet-5", "deepseek-chat", "deepseek-v3.2-reasoner", "deepseek-v4-pro",
    "devstral-2512", "devstral-medium-2512", "gemini-3-flash", "gemini-3-pro", "gemini-3.1-pro", "gemini-3.1-pro-preview", "glm-4.7",
    "glm-5", "glm-5.1", "glm-5.2", "gpt-5.1", "gpt-5.1-codex", "gpt-5.1-codex-max", "gpt-5.2", "gpt-5.2-codex", "gpt-5.4", "gpt-5.5",
    "gpt-5.6", "kimi-k2-thinking", "kimi-k2.5", "kimi-k2.6", "kimi-k3", "minimax-m2.1", "minimax-m2.5", "minimax-m2.7", "minimax-m3",
    "nemotron-3-nano", "nemotron-3-super-120b-a12b", "qwen3-6-plus", "qwen3-coder-480b", "qwen3-coder-next", "qwen3.6-plus",
    "trinity-large-thinking",
  ]

  static func migrated(_ llm: JSONObject) -> JSONObject {
    guard let model = llm["model"]?.string, let url = llm["base_url"]?.string, isProxy(url) else { return llm }
    var result = llm
    if model.utf8.starts(with: "openhands/".utf8) {
      result["base_url"] = nil
    } else if model.utf8.starts(with: "litellm_proxy/".utf8) {
      let name = JSONString(utf8: Array(model.utf8.dropFirst(14)))
      guard names.contains(name) else { return llm }
      result["model"] = .string(JSONString(utf8: Array("openhands/".utf8) + name.utf8))
      result["base_url"] = nil
    }
    return result
  }

  private static func isProxy(_ url: JSONString) -> Bool {
    func withoutSlashes(_ text: String) -> String { String(text.reversed().drop { $0 == "/" }.reversed()) }
    let text = withoutSlashes(url.text)
    return text == proxy || (text.hasSuffix("/v1") && withoutSlashes(String(text.dropLast(3))) == proxy)
  }
}

/// Step 4 to 5: the shape of MCP servers.
private enum MCPMigration {
  private static let known: Set<JSONString> = [
    "url", "transport", "type", "command", "args", "env", "cwd", "description", "icon", "timeout", "sse_read_timeout", "keep_alive",
    "headers", "auth", "authentication", "api_key", "oauth_credentials", "enabled",
  ]

  static func servers(_ config: JSONObject) -> JSONObject {
    guard let inner = config["mcpServers"] else { return mapped(config) { server($0) } }
    guard let wrapped = inner.object else { return JSONObject() }
    let servers = mapped(wrapped) { object in
      server(JSONObject(uniqueMembers: object.members.filter { known.contains($0.name) }))
    }
    return withoutRetiredAddress(servers)
  }

  private static func mapped(_ config: JSONObject, _ body: (JSONObject) -> JSONObject) -> JSONObject {
    JSONObject(uniqueMembers: config.members.map { .init(name: $0.name, value: $0.value.object.map { .object(body($0)) } ?? $0.value) })
  }

  private static func server(_ old: JSONObject) -> JSONObject {
    var server = old
    if let type = server["type"] {
      server["type"] = nil
      if server["transport"] == nil { server["transport"] = type == "shttp" ? "http" : type }
    }
    let credentials = server["oauth_credentials"]?.object
    server["oauth_credentials"] = nil
    let authentication = server["authentication"]?.object
    server["authentication"] = nil
    let apiKey = server["api_key"]
    server["api_key"] = nil
    switch server["auth"] {
    case .string("oauth")?: server["auth"] = .object(oauth(authentication, credentials))
    case .string(let text)? where !text.utf8.isEmpty: server["auth"] = ["strategy": "bearer", "value": .string(text)]
    // The current shape, or what validation refuses.
    case .object?, .string?, .number?, .bool?, .array?: break
    case nil, .null?:
      server["auth"] = nil
      if let key = apiKey?.string, !key.utf8.isEmpty {
        server["auth"] = ["strategy": "api_key", "value": .string(key)]
      } else {
        moveAuthorization(&server)
      }
    }
    return server
  }

  /// `credentials` is collections of entries, `mcp-oauth-token` of what ends in `/tokens` and two more.
  private static func oauth(_ authentication: JSONObject?, _ credentials: JSONObject?) -> JSONObject {
    var auth = JSONObject(uniqueMembers: [.init(name: "strategy", value: "oauth2")])
    if var authentication {
      if authentication["type"] == nil { authentication["type"] = "oauth" }
      auth["authentication"] = .object(authentication)
    }
    var state = JSONObject()
    for (part, collection, ending) in stateParts {
      let entries = credentials?[collection]?.object?.members ?? []
      guard let entry = entries.first(where: { $0.name.text.hasSuffix(ending) }) else { continue }
      let value = entry.value.object?["value"] ?? entry.value
      // What is no record of tokens is none.
      if part == "token_expires_at" {
        state[part] = value.object?["expires_at"] ?? value
      } else if value.object != nil {
        state[part] = value
      }
    }
    if !state.isEmpty { auth["state"] = .object(state) }
    return auth
  }

  private static let stateParts: [(part: JSONString, collection: JSONString, ending: String)] = [
    ("tokens", "mcp-oauth-token", "/tokens"), ("client_info", "mcp-oauth-client-info", "/client_info"),
    ("token_expires_at", "mcp-oauth-token-expiry", "/token_expiry"),
  ]

  /// A header named authorization becomes the strategy that says the same.
  private static func moveAuthorization(_ server: inout JSONObject) {
    guard var headers = server["headers"]?.object,
      let header = headers.members.first(where: { MCPTables.isAuthorization($0.name) }), let text = header.value.string
    else { return }
    headers[header.name] = nil
    server["headers"] = headers.isEmpty ? nil : .object(headers)
    if text.isBlank { return }
    let value = text.utf8.dropFirst(7).drop { $0 == 0x20 }
    if text.text.lowercased().hasPrefix("bearer "), !value.isEmpty {
      server["auth"] = ["strategy": "bearer", "value": .string(JSONString(utf8: Array(value)))]
    } else {
      server["auth"] = [
        "strategy": "header", "headers": .object(JSONObject(uniqueMembers: [.init(name: header.name, value: .string(text))])),
      ]
    }
  }

  /// One address was retired upstream: its servers move to the new one, get a new name and go to the end.
  private static func withoutRetiredAddress(_ servers: JSONObject) -> JSONObject {
    let address: JSONString = "https://mcp.linear.app/mcp"
    func isRetired(_ value: JSONValue) -> Bool {
      value.object?["url"] == "https://mcp.linear.app/sse" && value.object?["transport"] == "sse"
    }
    var result = JSONObject(uniqueMembers: servers.members.filter { !isRetired($0.value) })
    for member in servers.members where isRetired(member.value) {
      guard var server = member.value.object, !result.members.contains(where: { $0.value.object?["url"] == .string(address) }) else {
        continue
      }
      server["url"] = .string(address)
      server["transport"] = nil
      result[uniqueName(renamed(member.name), in: result)] = .object(server)
    }
    return result
  }

  private static func renamed(_ name: JSONString) -> JSONString {
    name == "sse" || name.utf8.starts(with: "sse_".utf8) ? "shttp" : name
  }

  private static func uniqueName(_ name: JSONString, in servers: JSONObject) -> JSONString {
    guard servers[name] != nil else { return name }
    var number = 1
    while servers[JSONString("\(name.text)_\(number)")] != nil { number += 1 }
    return JSONString("\(name.text)_\(number)")
  }
}
