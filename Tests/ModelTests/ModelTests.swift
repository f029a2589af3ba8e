import Model
import StrictJSON
import TestSupport
import Testing

private let now = UTCTime(unixMicroseconds: 1_795_478_400_000_000)

/// Tokens of these tests: `gAAAAA:` and the text; `gAAAAA!` opens with no key.
private func open(_ text: JSONString) -> TokenOpening {
  guard text.utf8.starts(with: "gAAAAA".utf8) else { return .notAToken }
  guard text.utf8.starts(with: "gAAAAA:".utf8) else { return .doesNotOpen }
  return .opened(JSONString(utf8: Array(text.utf8.dropFirst(7))))
}

private func json(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8), limits: .settings) }

private func apply(_ body: String, to document: SettingsDocument = .defaults(now: now)) throws -> SettingsDocument {
  try document.applying(SettingsPatch(body: json(body)), opening: open, now: now)
}

private func apply(agent diff: String, to document: SettingsDocument = .defaults(now: now)) throws -> SettingsDocument {
  try apply("{\"agent_settings_diff\":" + diff + "}", to: document)
}

private func plain(_ document: SettingsDocument) throws -> JSONValue {
  try JSONValue.parse(document.rendered().plaintext(), limits: .settings)["agent_settings"]
}

private func redacted(_ document: SettingsDocument) throws -> JSONValue {
  try JSONValue.parse(document.rendered().redacted(), limits: .settings)["agent_settings"]
}

@Suite struct SecretNameTests {
  @Test func everyVector() throws {
    let file = try Vectors.own("names/secret_names.json")
    for item in file["cases"].list {
      #expect((SecretName(item["name"].string?.utf8 ?? []) != nil) == item["valid"].bool, "\(item["why"].text)")
    }
    #expect(file["cases"].list.count == 48)
  }
}

@Suite struct SettingsMergeTests {
  @Test(arguments: [
    "{\"llm\":{\"num_retries\":\"three\"}}", "{\"llm\":{\"model\":\"\"}}", "{\"llm\":{\"model\":null}}", "{\"llm\":\"gpt\"}",
    "{\"schema_version\":99}",
    "{\"schema_version\":true}", "{\"schema_version\":\"5\"}", "{\"schema_version\":-1}", "{\"condenser\":{\"max_size\":19}}",
    "{\"condenser\":{\"minimum_progress\":1}}", "{\"condenser\":{\"condenser_kind\":\"x\"}}", "{\"llm\":{\"api_key\":5}}",
    "{\"llm\":{\"top_p\":1.5}}",
    "{\"llm\":{\"num_retries\":7.5}}", "{\"llm\":{\"num_retries\":-1}}", "{\"llm\":{\"stream\":\"maybe\"}}",
    "{\"llm\":{\"auth_type\":\"x\"}}",
    "{\"llm\":{\"temperature\":1e999}}", "{\"llm\":{\"temperature\":\"0x10\"}}", "{\"llm\":{\"temperature\":\"inf\"}}",
    "{\"llm\":{\"num_retries\":\"7.\"}}", "{\"llm\":{\"num_retries\":\"1__0\"}}", "{\"llm\":{\"num_retries\":\"_1\"}}",
    "{\"llm\":{\"num_retries\":-9223372036854775809}}", "{\"llm\":{\"num_retries\":1e300}}", "{\"llm\":{\"max_input_tokens\":16383}}",
    "{\"mcp_config\":{\"a\":{\"url\":\"u\",\"auth\":{\"strategy\":\"header\",\"headers\":null}}}}",
    "{\"agent_context\":{\"skills\":[{\"name\":\"a\"}]}}",
    "{\"agent_context\":{\"skills\":[{\"name\":\"a\",\"content\":\"c\",\"trigger\":{\"type\":\"x\"}}]}}",
    "{\"agent_context\":{\"registered_marketplaces\":[{\"name\":\"n\",\"source\":\"s\",\"repo_path\":\"../x\"}]}}",
    "{\"agent_context\":{\"registered_marketplaces\":[{\"name\":\"n\",\"source\":\"s\",\"repo_path\":\"\"}]}}",
    "{\"tools\":[{\"name\":\" \"}]}",
    "{\"tools\":{}}", "{\"agent\":5}", "{\"agent_kind\":\"robot\"}",
    "{\"agent_kind\":5}", "{\"mcp_config\":{\"a\":{\"unknown\":1}}}", "{\"mcp_config\":{\"a\":{\"transport\":\"stdio\"}}}",
    "{\"mcp_config\":{\"a\":{\"transport\":\"http\"}}}", "{\"mcp_config\":{\"a\":{\"url\":\"u\",\"enabled\":null}}}",
    "{\"mcp_config\":{\"a\":{\"headers\":{\"A\":null}}}}", "{\"mcp_config\":{\"a\":{\"auth\":\"bearer\"}}}",
    "{\"mcp_config\":{\"a\":{\"url\":\"u\",\"auth\":{\"strategy\":\"none\"},\"headers\":{\"Authorization\":\"x\"}}}}",
    "{\"mcp_config\":{\"mcpServers\":{\"a\":{\"url\":\"u\"}}}}", "{\"agent_context\":{\"secrets\":{\"A\":null}}}",
    "{\"agent_context\":{\"secrets\":{\"A\":{\"kind\":\"X\"}}}}", "{\"agent_context\":{\"skills\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
  ])
  func refuses(_ diff: String) throws { #expect(throws: SettingsError.invalid) { try apply(agent: diff) } }

  private static let conversions: [(String, JSONValue)] = [
    ("{\"llm\":{\"num_retries\":\"7\",\"timeout\":true,\"temperature\":\"0.5\"}}", ["num_retries": 7, "timeout": 1]),
    ("{\"llm\":{\"num_retries\":7.0,\"stream\":\"YES\",\"drop_params\":0}}", ["num_retries": 7, "stream": true, "drop_params": false]),
    ("{\"llm\":{\"num_retries\":\"1_000\",\"max_input_tokens\":16384}}", ["num_retries": 1000, "max_input_tokens": 16384]),
    ("{\"llm\":{\"num_retries\":9223372036854775807,\"timeout\":\" +007.0 \"}}", ["num_retries": 9_223_372_036_854_775_807, "timeout": 7]),
    // White space of any script is none of a secret.
    ("{\"llm\":{\"api_key\":\"\u{A0}\u{2003}\\u001f\"}}", ["api_key": nil]),
    ("{\"llm\":{\"capability_overrides\":{\"a\":\"yes\",\"b\":1}}}", ["capability_overrides": ["a": "yes", "b": true]]),
    ("{\"llm\":{\"model\":\"azure/x\",\"api_version\":\"\"}}", ["api_version": "2024-12-01-preview"]),
    ("{\"llm\":{\"model\":\"azure/x\"}}", ["api_version": "2024-12-01-preview"]),
    ("{\"llm\":{\"model\":\"openai/x\",\"base_url\":\"https://api.openai.com/\"}}", ["base_url": nil]),
    ("{\"llm\":null}", ["model": "gpt-5.5"]),
  ]

  @Test(arguments: conversions)
  func converts(_ diff: String, _ expected: JSONValue) throws {
    let llm = try plain(apply(agent: diff))["llm"]
    for member in expected.object?.members ?? [] { #expect(llm[member.name] == member.value) }
  }

  @Test func aSkillIsShownWhole() throws {
    let context = try plain(apply(agent: #"{"agent_context":{"skills":[{"name":"","content":"c","odd":1}]}}"#))["agent_context"]
    let skill = try #require(context["skills"].array?.first?.object)
    #expect(skill["version"] == "1.0.0" && skill["inputs"] == [] && skill["trigger"] == .null && skill.count == 15)
  }

  @Test func aSecretHeaderOfALookupWithoutAValueIsNone() throws {
    let source = #"{"kind":"LookupSecret","url":"https://x/y","headers":{"X-Api-Key":"","Plain":""}}"#
    let context = try plain(apply(agent: #"{"agent_context":{"secrets":{"A":"# + source + "}}}"))["agent_context"]
    #expect(context["secrets"]["A"]["headers"] == ["Plain": ""])
  }

  @Test func wholeNumbersKeepEveryDigit() throws {
    let text = "123456789012345678901234567890"
    let llm = try plain(apply(agent: "{\"llm\":{\"num_retries\":\(text),\"seed\":\"-\(text)\"}}"))["llm"]
    #expect(llm["num_retries"] == .number(JSONNumber(validated: Array(text.utf8))))
    #expect(llm["seed"] == .number(JSONNumber(validated: Array("-\(text)".utf8))))
  }

  @Test func nullsResetAndKindsStartOver() throws {
    var document = try apply(agent: "{\"llm\":{\"model\":\"m\",\"api_key\":\"k\",\"base_url\":\"u\"},\"agent\":\"A\"}")
    document = try apply(agent: "{\"llm\":{\"base_url\":null},\"agent\":null}", to: document)
    #expect(try plain(document)["llm"]["base_url"] == nil)
    #expect(try plain(document)["agent"] == "CodeActAgent")
    document = try apply(agent: "{\"agent_kind\":\"acp\",\"llm\":{\"model\":\"m\",\"api_key\":\"**********\"}}", to: document)
    #expect(try plain(document)["agent_kind"] == "acp")
    #expect(try plain(document)["llm"]["api_key"] == nil)
    document = try apply(agent: "{\"agent_kind\":\"llm\"}", to: document)
    #expect(try plain(document)["agent_kind"] == "openhands")
  }

  @Test func masksKeepAndBlanksClear() throws {
    let document = try apply(
      agent:
        "{\"llm\":{\"api_key\":\"k1\",\"extra_headers\":{\"X-Api-Key\":\"h\",\"X-Title\":\"t\"}},\"mcp_config\":{\"a\":{\"url\":\"u\",\"env\":{\"T\":\"e\"}}},\"agent_context\":{\"secrets\":{\"C\":\"c\",\"E\":\"\"}}}"
    )
    let again = try apply(
      agent:
        "{\"llm\":{\"api_key\":\"**********\",\"aws_session_token\":\"**********\",\"extra_headers\":{\"X-Api-Key\":\"**********\"}},\"mcp_config\":{\"a\":{\"env\":{\"T\":\"**********\",\"N\":\"**********\"}}},\"agent_context\":{\"secrets\":{\"C\":\"**********\"}}}",
      to: document)
    #expect(try plain(again) == plain(document))
    for blank in ["\"\"", "\" \\t\"", "null"] {
      #expect(try plain(apply(agent: "{\"llm\":{\"api_key\":\(blank)}}", to: document))["llm"]["api_key"] == nil)
    }
  }

  @Test func tokensOpenOrAreNamed() throws {
    let document = try apply(agent: "{\"llm\":{\"api_key\":\"gAAAAA:inner\"},\"agent_context\":{\"secrets\":{\"A\":\"gAAAAA:ctx\"}}}")
    #expect(try plain(document)["llm"]["api_key"] == "inner")
    #expect(try plain(document)["agent_context"]["secrets"]["A"] == "ctx")
    let pointers = ["/agent_settings_diff/llm/api_key", "/agent_settings_diff/mcp_config/a~1b/env/T"]
    #expect(throws: SettingsError.tokensDoNotOpen(pointers)) {
      try apply(
        agent: "{\"llm\":{\"api_key\":\"gAAAAA!\"},\"mcp_config\":{\"a/b\":{\"url\":\"u\",\"env\":{\"T\":\"gAAAAA!\"}}}}", to: document)
    }
  }

  @Test func conversationAndMiscRules() throws {
    for refused in ["{\"max_iterations\":null}", "{\"max_iterations\":0}", "{\"confirmation_mode\":null}", "{\"security_analyzer\":\"x\"}"]
    {
      #expect(throws: SettingsError.invalid) { try apply("{\"conversation_settings_diff\":\(refused)}") }
    }
    var document = try apply("{\"misc_settings_diff\":{\"ui\":{\"a\":1,\"l\":[1]},\"n\":1.50}}")
    document = try apply("{\"misc_settings_diff\":{\"ui\":{\"a\":null,\"l\":[2]},\"n\":null,\"f\":{\"x\":null}}}", to: document)
    let misc = try JSONValue.parse(document.rendered().redacted(), limits: .settings)["misc_settings"]
    #expect(misc == ["ui": ["l": [2]], "n": nil, "f": ["x": nil]])
  }

  /// What was read and sent back unchanged changes no secret, in every mode, for every kind of secret place.
  @Test func readingAndSendingBackChangesNothing() throws {
    let document = try apply(
      agent: """
        {"llm":{"model":"m","api_key":"k","aws_access_key_id":"i","extra_headers":{"X-Token":"h","X-Title":"t"},"litellm_extra_body":{"api_key":"b","metadata":{"password":["p",{"x":"q"}],"n":1}}},
         "verification":{"critic_api_key":"v"},
         "agent_context":{"secrets":{"A":"gone","S":{"kind":"StaticSecret","value":"s"},"L":{"kind":"LookupSecret","url":"http://x/y","headers":{"X-Session-API-Key":"l","Accept":"*"}}}},
         "mcp_config":{"a":{"command":"c","env":{"T":"e"}},"b":{"url":"u","headers":{"H":"g"}},"c":{"url":"u","auth":{"strategy":"bearer","value":"w"}},
          "d":{"url":"u","auth":{"strategy":"basic","username":"n","password":"p\\"\\u0001"}},"e":{"url":"u","auth":{"strategy":"header","headers":{"Q":"r"}}},
          "f":{"url":"u","auth":{"strategy":"oauth2","authentication":{"type":"oauth","client_secret":"o"},"state":{"tokens":{"access_token":"a","refresh_token":"f","id_token":"d"},"client_info":{"client_secret":"z"}}}}}}
        """)
    let rendered = document.rendered()
    let modes: [[UInt8]] = [
      rendered.redacted(), rendered.plaintext(),
      rendered.encrypted { text in Array("gAAAAA:".utf8) + text.utf8.map { $0 < 0x20 || $0 == 0x22 ? 0x3F : $0 } },
    ]
    // The sealing of these tests escapes nothing, so the one odd text stays out of the third mode.
    for (index, body) in modes.enumerated() {
      let agent = try JSONValue.parse(body, limits: .settings)["agent_settings"]
      let again = try document.applying(SettingsPatch(body: ["agent_settings_diff": agent]), opening: open, now: now)
      if index < 2 { #expect(try plain(again) == plain(document)) }
      #expect(again.rendered().slots.count == rendered.slots.count)
    }
    #expect(rendered.slots.count == 19)
    let shown = String(decoding: rendered.redacted(), as: UTF8.self)
    #expect(!shown.contains("\"gone\"") && shown.contains("\"X-Title\":\"t\"") && shown.contains("\"Accept\":\"*\""))
  }
}

@Suite struct MigrationTests {
  @Test func olderShapesMigrate() throws {
    let agent = try plain(
      apply(
        agent: """
          {"schema_version":0,"llm":{"model":"litellm_proxy/glm-5","base_url":"https://llm-proxy.app.all-hands.dev/v1/"},
           "verification":{"confirmation_mode":true,"critic_enabled":true},
           "mcp_config":{"mcpServers":{"sse":{"url":"https://mcp.linear.app/sse","transport":"sse","odd":1},
            "a":{"type":"shttp","url":"u","api_key":"k"},"b":{"url":"u","auth":"tok"},"c":{"url":"u","headers":{"authorization":"Bearer x"}},
            "d":{"url":"u","headers":{"Authorization":"Basic y","X":"z"}}}}}
          """))
    #expect(agent["schema_version"] == 5)
    #expect(agent["llm"]["model"] == "openhands/glm-5" && agent["llm"]["base_url"] == nil)
    #expect(agent["verification"]["critic_enabled"] == true)
    let servers = agent["mcp_config"]
    #expect(servers["a"]["transport"] == "http" && servers["a"]["auth"] == ["strategy": "api_key", "value": "k"])
    #expect(servers["b"]["auth"] == ["strategy": "bearer", "value": "tok"])
    #expect(servers["c"]["auth"] == ["strategy": "bearer", "value": "x"] && servers["c"]["headers"] == .null)
    #expect(
      servers["d"]["auth"] == ["strategy": "header", "headers": ["Authorization": "Basic y"]] && servers["d"]["headers"] == ["X": "z"])
    #expect(servers["shttp"]["url"] == "https://mcp.linear.app/mcp")
    #expect(servers.object?.members.last?.name == "shttp")
  }

  private static let servers: [(String, JSONValue)] = [
    (#"{"headers":{"authorization":"BEARER  x"}}"#, ["auth": ["strategy": "bearer", "value": "x"]]),
    (#"{"headers":{"Authorization":"Bearer "}}"#, ["auth": ["strategy": "header", "headers": ["Authorization": "Bearer "]]]),
    (#"{"headers":{"Authorization":""}}"#, [:]), (#"{"api_key":""}"#, [:]), (#"{"auth":null}"#, [:]),
    (
      #"{"auth":"oauth","authentication":{"client_id":"c"}}"#,
      ["auth": ["strategy": "oauth2", "authentication": ["type": "oauth", "client_id": "c"]]]
    ),
    (
      """
      {"auth":"oauth","oauth_credentials":{"mcp-oauth-token":{"https://u/tokens":{"value":{"access_token":"t"}}},
       "mcp-oauth-client-info":{"https://u/client_info":{"client_secret":"s"}},
       "mcp-oauth-token-expiry":{"https://u/token_expiry":{"value":{"expires_at":5}}}}}
      """,
      [
        "auth": [
          "strategy": "oauth2",
          "state": [
            "tokens": ["access_token": "t"], "client_info": ["client_secret": "s"],
            "token_expires_at": .number(JSONNumber(validated: Array("5.0".utf8))),
          ],
        ]
      ]
    ),
  ]

  @Test(arguments: servers)
  func olderServersMigrate(_ server: String, _ expected: JSONValue) throws {
    let diff = "{\"schema_version\":4,\"mcp_config\":{\"a\":\(server)}}"
    let members = expected.object?.members ?? []
    let result = try plain(apply(agent: diff))["mcp_config"]["a"]
    #expect(result.object?.count == members.count + 1)
    for member in members { #expect(result[member.name] == member.value) }
  }

  @Test(arguments: [#"{"url":"u","transport":"shttp"}"#, #"{"auth":""}"#, #"{"auth":5}"#, #"{"auth":{"type":"oauth"}}"#])
  func olderServersThatAreRefused(_ server: String) {
    #expect(throws: SettingsError.invalid) { try apply(agent: "{\"schema_version\":4,\"mcp_config\":{\"a\":\(server)}}") }
  }
}

@Suite struct RenderedSettingsTests {
  @Test func survivesItsStoredForm() throws {
    let rendered = try apply(agent: "{\"llm\":{\"api_key\":\"k\"}}").rendered()
    let encoded = rendered.encoded()
    let read = try unsafe RenderedSettings(encoded: encoded.span.bytes)
    #expect(read.json == rendered.json && read.slots == rendered.slots)
    #expect(try plain(SettingsDocument(read))["llm"]["api_key"] == "k")
  }

  @Test func damagedFormsAreRefusedOrHarmless() throws {
    let encoded = try apply(agent: "{\"llm\":{\"api_key\":\"k\"}}").rendered().encoded()
    for index in 0..<16 {
      for value in [0, 1, 0x7F, 0xFF] as [UInt8] {
        var changed = encoded
        changed[index] = value
        if let read = unsafe try? RenderedSettings(encoded: changed.span.bytes) { #expect(!read.redacted().isEmpty) }
      }
    }
    for count in 0..<16 {
      let short = Array(encoded[..<count])
      let read = try? unsafe RenderedSettings(encoded: short.span.bytes)
      #expect(read?.json == nil)
    }
  }
}

@Suite struct UTCTimeTests {
  @Test(arguments: [
    (Int64(0), "1970-01-01T00:00:00.000Z"), (1_700_000_000_123_456, "2023-11-14T22:13:20.123Z"),
    (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
    (4_102_444_799_999_999, "2099-12-31T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.999Z"), (-1_000_000, "1969-12-31T23:59:59.000Z"),
    (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"), (253_402_300_800_000_000, "10000-01-01T00:00:00.000Z"),
    (-62_135_596_800_000_000, "0001-01-01T00:00:00.000Z"), (.max, "294247-01-10T04:00:54.775Z"), (.min, "0000-12-21T19:59:05.224Z"),
  ])
  func prints(_ microseconds: Int64, _ text: String) { #expect(UTCTime(unixMicroseconds: microseconds).text == text) }

  @Test(arguments: [(Int64(0), "000000"), (1, "000001"), (-1, "999999"), (123_456, "123456"), (1_900_050, "900050")])
  func printsMicroseconds(_ microseconds: Int64, _ fraction: String) {
    #expect(UTCTime(unixMicroseconds: microseconds).preciseText.hasSuffix("." + fraction + "Z"))
  }
}
