import HTTPMessages
import Service
import StrictJSON
import TestSupport
import Testing

/// MCP servers, profiles, provider connections and workspaces through the router.
@Suite struct NamedThingsTests {
  private static let plaintext: [HeaderName: String] = [.exposeSecrets: "plaintext"]

  private func settings(_ rig: Rig) throws -> JSONValue {
    try rig.send(.get, "/api/settings", headers: Self.plaintext).json["agent_settings"]
  }

  private func save(_ rig: Rig, _ name: String, _ llm: String) throws {
    let reply = try rig.send(.post, "/api/profiles/\(name)", body: "{\"llm\":\(llm)}")
    #expect(reply.status == 201, "\(name)")
  }

  private func connect(_ rig: Rig, key: String) throws -> String {
    let reply = try rig.send(
      .post, "/api/llm/provider-connections", body: "{\"display_name\":\"work\",\"api_key\":\"\(key)\",\"base_url\":\"u1\"}")
    #expect(reply.status == 201)
    #expect(!reply.body.contains(key))
    return reply.json["id"].text
  }

  // MARK: - MCP servers

  @Test func aServersLife() throws {
    let rig = try Rig(open: true)
    let path = "/api/settings/mcp/a%20b"
    #expect(try rig.send(.patch, path, body: "{}").status == 404)
    #expect(try rig.send(.post, path, body: #"{"command":"c","env":{"T":"value-1","U":"value-2"}}"#).status == 201)
    #expect(try rig.send(.post, path, body: #"{"command":"d"}"#).status == 409)
    // The mask keeps, null removes, an absent entry stays.
    #expect(try rig.send(.patch, path, body: #"{"env":{"T":"**********","U":null},"args":["x"]}"#).status == 200)
    let server = try settings(rig)["mcp_config"]["a b"]
    #expect(server["env"] == ["T": "value-1"])
    #expect(server["command"] == "c")
    #expect(try rig.send(.delete, path).status == 200)
    #expect(try rig.send(.delete, path).status == 404)
    let actions = try rig.audit().filter { $0.hasPrefix("mcp_server.") }
    #expect(
      actions == [
        "mcp_server.create settings allowed", "mcp_server.update settings allowed", "mcp_server.delete settings allowed",
      ])
  }

  @Test func whatIsEmptyInAnAuthStaysAsItIsHoweverDeep() throws {
    let rig = try Rig(open: true)
    let state = #""state":{"tokens":{"access_token":"value-1","refresh_token":"value-2"},"client_info":{"client_secret":"value-3","n":1}}"#
    let body = #"{"url":"u","auth":{"strategy":"oauth2","authentication":{"type":"oauth","client_secret":"value-4"},"# + state + "}}"
    #expect(try rig.send(.post, "/api/settings/mcp/x", body: body).status == 201)
    let before = try settings(rig)["mcp_config"]["x"]["auth"]
    for auth in [
      #""authentication":{"type":"oauth","client_secret":""}"#, #""state":{"tokens":null}"#, #""state":{"tokens":{"access_token":""}}"#,
      #""state":{"tokens":{"access_token":"value-1","refresh_token":null}}"#, #""state":{"client_info":{"client_secret":"**********"}}"#,
    ] {
      #expect(try rig.send(.patch, "/api/settings/mcp/x", body: "{\"auth\":{\"strategy\":\"oauth2\",\(auth)}}").status == 200)
      #expect(try settings(rig)["mcp_config"]["x"]["auth"] == before, "\(auth)")
    }
  }

  @Test(arguments: [("", 201), ("**********", 201), ("x", 422)])
  func anAuthorizationHeaderWithoutAValueIsNone(_ value: String, _ status: Int) throws {
    let body = #"{"url":"u","auth":{"strategy":"none"},"headers":{"Authorization":""# + value + #""}}"#
    #expect(try Rig(open: true).send(.post, "/api/settings/mcp/x", body: body).status == status)
  }

  @Test(arguments: [(#"{"api_key":"**********"}"#, true), (#"{"api_key":""}"#, false), (#"{"api_key":" "}"#, false)])
  func anEmptyKeyClearsAConnectionsKey(_ body: String, _ remains: Bool) throws {
    let rig = try Rig(open: true)
    let reply = try rig.send(.patch, "/api/llm/provider-connections/\(try connect(rig, key: "value-1"))", body: body)
    #expect(reply.status == 200 && reply.json["api_key_set"] == .bool(remains))
  }

  @Test(arguments: [(" ", 201), ("", 422), ("**********", 422)])
  func aBlankKeyIsNone(_ key: String, _ status: Int) throws {
    let body = "{\"display_name\":\"n\",\"api_key\":\"\(key)\"}"
    let reply = try Rig(open: true).send(.post, "/api/llm/provider-connections", body: body)
    #expect(reply.status == status && (status != 201 || reply.json["api_key_set"] == false))
  }

  @Test func anEmptyConnectionIsShownAndBroken() throws {
    let rig = try Rig(open: true)
    try save(rig, "a", #"{"model":"m","provider_connection_id":""}"#)
    let profile = try rig.send(.get, "/api/profiles").json["profiles"].array?.first ?? .null
    #expect(profile["provider_connection_id"] == "" && profile["provider_connection_broken"] == true)
  }

  @Test func nobodyMayInitialise() throws {
    #expect(try Rig(open: true).send(.post, "/api/init").status == 401)
  }

  @Test func aStoredAuthSurvivesItsMask() throws {
    let rig = try Rig(open: true)
    let body = #"{"url":"https://x.example.com","auth":{"strategy":"bearer","value":"value-1"}}"#
    #expect(try rig.send(.post, "/api/settings/mcp/x", body: body).status == 201)
    for auth in [
      #"{"strategy":"bearer","value":"**********"}"#, #"{"strategy":"bearer","value":null}"#, #"{"strategy":"bearer","value":""}"#,
      #"{"strategy":"bearer"}"#,
    ] {
      #expect(try rig.send(.patch, "/api/settings/mcp/x", body: "{\"auth\":\(auth)}").status == 200)
      #expect(try settings(rig)["mcp_config"]["x"]["auth"]["value"] == "value-1")
    }
    let null = try rig.send(.patch, "/api/settings/mcp/x", body: #"{"auth":{"strategy":"header","headers":{"A":null}}}"#)
    #expect(null.status == 422 && null.json["detail"].array?.first?["type"] == "string_type")
    #expect(try rig.send(.patch, "/api/settings/mcp/x", body: #"{"auth":null}"#).status == 200)
    #expect(try settings(rig)["mcp_config"]["x"]["auth"] == .null)
  }

  @Test(arguments: [
    (#"{"transport":"stdio"}"#, #"["body"]"#, "value_error"), (#"{"transport":"sse"}"#, #"["body"]"#, "value_error"),
    (#"{"bogus":"value-1"}"#, #"["body","bogus"]"#, "extra_forbidden"),
    (#"{"url":5}"#, #"["body","url"]"#, "string_type"), (#"{"url":""}"#, #"["body","url"]"#, "string_too_short"),
    (#"{"transport":"x"}"#, #"["body","transport"]"#, "literal_error"), (#"{"enabled":"x"}"#, #"["body","enabled"]"#, "bool_parsing"),
    (#"{"enabled":null}"#, #"["body","enabled"]"#, "bool_type"), (#"{"args":[1]}"#, #"["body","args",0]"#, "string_type"),
    (#"{"timeout":"x"}"#, #"["body","timeout"]"#, "float_parsing"), (#"{"env":{"A":1}}"#, #"["body","env","A"]"#, "string_type"),
    (#"{"auth":{}}"#, #"["body","auth"]"#, "union_tag_not_found"),
    (#"{"auth":{"strategy":"x"}}"#, #"["body","auth"]"#, "union_tag_invalid"),
    (#"{"auth":{"strategy":"basic"}}"#, #"["body","auth","basic","username"]"#, "missing"), ("[]", #"["body"]"#, "model_attributes_type"),
  ])
  func serversThatAreRefused(_ body: String, _ place: String, _ type: String) throws {
    let rig = try Rig(open: true)
    let reply = try rig.send(.post, "/api/settings/mcp/x", body: body)
    #expect(reply.status == 422)
    let issue = try #require(reply.json["detail"].list.first)
    #expect(issue["type"].text == type)
    #expect(String(decoding: issue["loc"].serialized(), as: UTF8.self) == place)
    #expect(!reply.body.contains("value-1"))
    #expect(try settings(rig)["mcp_config"] == [:])
  }

  // MARK: - Profiles

  @Test func aProfilesLife() throws {
    let rig = try Rig(open: true)
    try save(rig, "work", #"{"model":"m1","api_key":"value-1","aws_secret_access_key":"value-2"}"#)
    let redacted = try rig.send(.get, "/api/profiles/work")
    #expect(redacted.json["config"]["api_key"] == .null)
    #expect(redacted.json["config"]["aws_secret_access_key"] == "**********")
    #expect(redacted.json["api_key_set"] == true)
    #expect(!redacted.body.contains("value-"))
    // Sent back as it was shown, it loses nothing but the key that was null; masked, it keeps that too.
    try save(rig, "work", #"{"model":"m2","api_key":"**********","aws_secret_access_key":"**********"}"#)
    let config = try rig.send(.get, "/api/profiles/work", headers: Self.plaintext).json["config"]
    #expect(config["api_key"] == "value-1" && config["aws_secret_access_key"] == "value-2" && config["model"] == "m2")
    #expect(try rig.send(.post, "/api/profiles/work/activate").status == 200)
    #expect(try settings(rig)["llm"]["api_key"] == "value-1")
    #expect(try rig.send(.post, "/api/profiles/work/rename", body: #"{"new_name":"home"}"#).status == 200)
    #expect(try rig.send(.get, "/api/profiles").json["active_profile"] == "home")
    #expect(try rig.send(.get, "/api/profiles/home", headers: Self.plaintext).json["config"]["api_key"] == "value-1")
    #expect(try rig.send(.get, "/api/profiles/work").status == 404)
    #expect(try rig.send(.delete, "/api/profiles/home").status == 200)
    #expect(try rig.send(.get, "/api/profiles").json["active_profile"] == .null)
    #expect(try rig.send(.delete, "/api/profiles/home").status == 200)
    let actions = try rig.audit().map { String($0.prefix { $0 != " " }) }.filter { $0.hasPrefix("profile.") }
    #expect(
      actions == [
        "profile.create", "profile.update", "profile.read_plaintext", "profile.activate", "profile.rename", "profile.read_plaintext",
        "profile.delete",
      ])
  }

  @Test func profilesAreLimited() throws {
    let rig = try Rig(open: true)
    for number in 0..<50 { try save(rig, "p\(number)", #"{"model":"m"}"#) }
    #expect(try rig.send(.post, "/api/profiles/more", body: #"{"llm":{"model":"m"}}"#).status == 409)
    try save(rig, "p7", #"{"model":"other"}"#)
    #expect(try rig.send(.get, "/api/profiles").json["profiles"].list.count == 50)
  }

  @Test func aProfileWithoutItsSecrets() throws {
    let rig = try Rig(open: true)
    let body = #"{"llm":{"model":"m","api_key":"value-1","aws_session_token":"value-2"},"include_secrets":false}"#
    #expect(try rig.send(.post, "/api/profiles/bare", body: body).status == 201)
    let reply = try rig.send(.get, "/api/profiles/bare", headers: Self.plaintext)
    #expect(reply.json["config"]["api_key"] == .null && reply.json["config"]["aws_session_token"] == .null)
    #expect(reply.json["api_key_set"] == false)
  }

  @Test func whatALevelMayNot() throws {
    let rig = try Rig(environmentKeys: [])
    let frontend = try rig.newKey(.frontend).text
    let masked = try rig.newKey(.masked).text
    let lookup = try rig.newKey(.lookup).text
    #expect(try rig.send(.post, "/api/profiles/p", key: frontend, body: #"{"llm":{"model":"m","api_key":"value-1"}}"#).status == 201)
    let table: [(HTTPMethod, String, String, [HeaderName: String], Int)] = [
      (.get, "/api/profiles/p", frontend, Self.plaintext, 403), (.get, "/api/profiles/p", frontend, [.exposeSecrets: "encrypted"], 200),
      (.get, "/api/profiles/p", masked, [.exposeSecrets: "encrypted"], 403), (.get, "/api/profiles/p", masked, [:], 200),
      (.delete, "/api/profiles/p", masked, [:], 403), (.post, "/api/profiles/p/activate", masked, [:], 403),
      (.get, "/api/profiles", lookup, [:], 403), (.get, "/api/llm/provider-connections", lookup, [:], 403),
      (.get, "/api/workspaces", lookup, [:], 403), (.delete, "/api/settings/mcp/x", masked, [:], 403),
      (.delete, "/api/llm/provider-connections/x", masked, [:], 403), (.delete, "/api/workspaces?path=x", masked, [:], 403),
    ]
    for (method, path, key, headers, status) in table {
      #expect(try rig.send(method, path, key: key, headers: headers).status == status, "\(method) \(path)")
    }
  }

  // MARK: - Provider connections

  @Test func aLinkedProfileTakesTheConnectionsKey() throws {
    let rig = try Rig(open: true)
    let id = try connect(rig, key: "value-shared")
    try save(rig, "linked", "{\"model\":\"m\",\"api_key\":\"value-own\",\"provider_connection_id\":\"\(id)\"}")
    #expect(try rig.send(.get, "/api/profiles/linked", headers: Self.plaintext).json["config"]["api_key"] == .null)
    #expect(try rig.send(.patch, "/api/settings", body: #"{"active_profile":"linked"}"#).status == 200)
    #expect(try settings(rig)["llm"]["api_key"] == "value-shared")
    #expect(try settings(rig)["llm"]["base_url"] == "u1")
    // A rotation reaches the settings that came from it; a mask rotates nothing.
    for (body, key) in [(#""**********""#, "value-shared"), (#""value-new""#, "value-new")] {
      #expect(try rig.send(.patch, "/api/llm/provider-connections/\(id)", body: "{\"api_key\":\(body)}").status == 200)
      #expect(try settings(rig)["llm"]["api_key"].text == key)
    }
    #expect(try rig.send(.delete, "/api/llm/provider-connections/\(id)").status == 409)
    #expect(try rig.send(.delete, "/api/profiles/linked").status == 200)
    #expect(try rig.send(.patch, "/api/settings", body: #"{"agent_settings_diff":{"llm":null}}"#).status == 200)
    #expect(try rig.send(.delete, "/api/llm/provider-connections/\(id)").status == 200)
  }

  @Test func aDanglingProfileIsSavedAndNotActivated() throws {
    let rig = try Rig(open: true)
    try save(rig, "dangling", #"{"model":"m","provider_connection_id":"nobody"}"#)
    #expect(try rig.send(.get, "/api/profiles").json["profiles"].list.first?["provider_connection_broken"] == true)
    let before = try settings(rig)["llm"]
    #expect(try rig.send(.post, "/api/profiles/dangling/activate").status == 422)
    let patch = #"{"active_profile":"dangling","misc_settings_diff":{"half":1}}"#
    #expect(try rig.send(.patch, "/api/settings", body: patch).status == 422)
    #expect(try settings(rig)["llm"] == before)
    #expect(try rig.send(.get, "/api/settings").json["misc_settings"] == [:])
  }

  @Test func connectionsWithoutAKeyAreRefused() throws {
    let rig = try Rig(open: true)
    for key in [#""""#, #""**********""#, "null", "5"] {
      let body = "{\"display_name\":\"x\",\"api_key\":\(key)}"
      #expect(try rig.send(.post, "/api/llm/provider-connections", body: body).status == 422)
    }
    #expect(try rig.send(.get, "/api/llm/provider-connections").json == [])
  }

  // MARK: - Workspaces

  @Test func workspacesAreRememberedByPath() throws {
    let rig = try Rig(open: true)
    let add = #"{"workspaces":[{"id":"1","name":"a b","path":"/a b"},{"id":"2","name":"other","path":"/a b"}]}"#
    #expect(try rig.send(.post, "/api/workspaces", body: add).json["workspaces"].list.count == 1)
    for query in ["?path=/a+b", "?path=%2Fa%20b"] {
      #expect(try rig.send(.post, "/api/workspaces", body: add).status == 200)
      #expect(try rig.send(.delete, "/api/workspaces\(query)").status == 200)
    }
    #expect(try rig.send(.delete, "/api/workspaces?path=/a+b").status == 404)
    #expect(try rig.send(.delete, "/api/workspaces").status == 422)
    let half = #"{"workspaces":[{"id":"1","name":"a","path":"/a"},{"id":"2"}]}"#
    #expect(try rig.send(.post, "/api/workspaces", body: half).status == 422)
    #expect(try rig.send(.get, "/api/workspaces").json == ["workspaces": [], "workspaceParents": []])
  }
}
