import HTTPMessages
import KeyRing
import SecretMemory
import Service
import StrictJSON
import TestSupport
import Testing

/// Folders of an agent server as bundles, into a store of its own.
@Suite struct ImportTests {
  private func run(
    _ rig: Rig, _ bundle: JSONValue, keys: [String] = [], skips: Bool = false, dry: Bool = false
  ) throws -> ImportReport {
    let waiter = Waiter<ImportReport>()
    rig.service.importOpenHands(
      try #require(bundle.object), keys: keys.map { SecretBytes(copying: Array($0.utf8)) }, skipsUnopened: skips, isDryRun: dry,
      for: .localOperator(tenant: rig.service.defaultTenant), requestID: "r"
    ) { waiter.give($0.mapError { $0 }) }
    return try waiter.take().get()
  }

  private func token(_ text: String, key: String) throws -> JSONValue {
    let ring = WireRing(primary: SecretBytes(copying: Array(key.utf8)))
    return .string(JSONString(utf8: try ring.seal(Array(text.utf8), unixSeconds: 1)))
  }

  private func secrets(_ rig: Rig) throws -> [String] {
    try rig.send(.get, "/api/settings/secrets").json["secrets"].list.map { $0["name"].text }
  }

  @Test func everyFormOfASecret() throws {
    let rig = try Rig(open: true)
    let bundle: JSONValue = [
      "secrets": [
        "custom_secrets": [
          "SEALED": ["name": "SEALED", "secret": try token("value-1", key: "old"), "description": "d"], "PLAIN": ["secret": "value-2"],
          "SHORT": "value-3", "NULL": ["name": "NULL", "secret": nil, "description": "kept"], "BARE": [:], "MASK": "**********",
          "BLANK": ["secret": " "],
        ]
      ]
    ]
    let report = try run(rig, bundle, keys: ["wrong", "old"])
    #expect(report.isDone && report.emptySecrets == ["NULL", "BARE", "MASK", "BLANK"])
    for (name, value) in [
      ("SEALED", "value-1"), ("PLAIN", "value-2"), ("SHORT", "value-3"), ("NULL", ""), ("BARE", ""), ("MASK", ""), ("BLANK", ""),
    ] {
      #expect(try rig.send(.get, "/api/settings/secrets/\(name)").body == value)
    }
    #expect(try rig.audit().contains("import.openhands  allowed"))
  }

  @Test func whatDoesNotOpenStopsEverything() throws {
    let rig = try Rig(open: true)
    let bundle: JSONValue = [
      "settings": ["agent_settings": ["llm": ["model": "m", "api_key": try token("value-1", key: "lost")]]],
      "secrets": ["custom_secrets": ["GOOD": "value-2", "LOST": ["secret": try token("value-3", key: "lost")]]],
    ]
    let refused = try run(rig, bundle, keys: ["other"])
    #expect(!refused.isDone)
    #expect(refused.unopened == ["settings.json#/agent_settings/llm/api_key", "secrets.json#/custom_secrets/LOST"])
    #expect(try secrets(rig).isEmpty)
    let skipped = try run(rig, bundle, keys: ["other"], skips: true)
    #expect(skipped.isDone && skipped.unopened.count == 2)
    #expect(try secrets(rig) == ["GOOD", "LOST"])
    let settings = try rig.send(.get, "/api/settings", headers: [.exposeSecrets: "plaintext"]).json["agent_settings"]
    #expect(settings["llm"]["model"] == "m" && settings["llm"]["api_key"] == .null)
  }

  @Test func aDryRunChangesNothing() throws {
    let rig = try Rig(open: true)
    let before = try rig.audit()
    let report = try run(rig, ["secrets": ["custom_secrets": ["A": "value-1"]]], dry: true)
    #expect(report.secrets == ["A"] && !report.isDone)
    #expect(try secrets(rig).isEmpty && rig.audit() == before)
  }

  @Test(arguments: [
    (#"{"secrets":{"custom_secrets":{"GOOD":"v","bad name":"v"}}}"#, "secrets.json#/custom_secrets/bad name"),
    (#"{"secrets":[]}"#, "secrets.json"), (#"{"settings":{"schema_version":3}}"#, "settings.json"),
    (#"{"settings":{"schema_version":"x"}}"#, "settings.json"), (#"{"settings":{"agent_settings":[]}}"#, "settings.json"),
    (#"{"settings":{"misc_settings":"x"}}"#, "settings.json"), (#"{"settings":{"conversation_settings":1}}"#, "settings.json"),
    (#"{"secrets":{"custom_secrets":{"GOOD":"v","BAD":7}}}"#, "secrets.json#/custom_secrets/BAD"),
    (#"{"settings":{"agent_settings":{"schema_version":99}}}"#, "settings.json"),
    (#"{"profiles":{"a b":{"model":"m"}}}"#, "profiles/a b.json"), (#"{"profiles":{"p":{}}}"#, "profiles/p.json"),
    (#"{"agent_profiles":{"p":{"llm_profile_ref":"w"}}}"#, "agent-profiles/p.json"),
    (#"{"connections":{"connections":[{}]}}"#, "provider-connections/provider_connections.json#/connections/0"),
    (#"{"workspaces":{}}"#, "workspaces.json"),
  ])
  func whatCannotBeReadStopsEverything(_ bundle: String, _ place: String) throws {
    let rig = try Rig(open: true)
    let report = try run(rig, try JSONValue.parse(Array(bundle.utf8), limits: .settings), skips: true)
    #expect(!report.isDone && report.unreadable == [place])
    #expect(try secrets(rig).isEmpty)
  }

  @Test(arguments: [0, 1, 2]) func olderSettings(_ version: Int) throws {
    let rig = try Rig(open: true)
    let bundle: JSONValue = [
      "settings": [
        "schema_version": .number(JSONNumber(version)),
        "agent_settings": [
          "schema_version": 2, "agent_kind": "llm", "llm": ["model": "m"],
          "verification": ["confirmation_mode": true, "critic_enabled": true],
        ],
        "active_profile": "work",
      ]
    ]
    #expect(try run(rig, bundle).isDone)
    let document = try rig.send(.get, "/api/settings").json
    #expect(document["agent_settings"]["agent_kind"] == "openhands" && document["agent_settings"]["schema_version"] == 5)
    #expect(document["agent_settings"]["verification"]["critic_enabled"] == true && document["active_profile"] == "work")
  }
}
