import StrictJSON
import TestSupport
import Testing

@testable import Model

@Suite struct ConversationRequestTests {
  private static let id = "00000000-0000-4000-8000-00000000000a"

  /// `gAAAAA-x` opens to `x`, `gAAAAA!` opens with no key.
  private static func opening(_ text: JSONString) -> TokenOpening {
    guard text.text.hasPrefix("gAAAAA") else { return .notAToken }
    return text.text == "gAAAAA!" ? .doesNotOpen : .opened(JSONString(String(text.text.dropFirst(7))))
  }

  private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8), limits: .settings) }

  private func start(_ text: String) throws(ConversationRequest.Failure) -> ConversationRequest {
    guard let body = try? parse(text) else { throw .body([]) }
    return try ConversationRequest(
      starting: body, freshID: Self.id, now: UTCTime(unixMicroseconds: 0), opening: Self.opening)
  }

  private static let workspace = #""workspace":{"working_dir":"/w"}"#

  // MARK: - What is refused

  @Test(arguments: [
    ("[]", "model_attributes_type", "body"),
    ("{}", "missing", "body.workspace"),
    ("{\(workspace)}", "value_error", "body"),
    (#"{\#(workspace),"agent":null,"agent_settings":null}"#, "value_error", "body"),
    (#"{\#(workspace),"agent_profile_id":"\#(id)","agent":{"llm":{"model":"m"}}}"#, "value_error", "body"),
    (#"{\#(workspace),"agent_profile_id":"\#(id)","agent_settings":{}}"#, "value_error", "body"),
    (#"{\#(workspace),"agent_profile_id":"x"}"#, "uuid_parsing", "body.agent_profile_id"),
    (#"{\#(workspace),"agent_settings":{},"conversation_id":"1-2"}"#, "uuid_parsing", "body.conversation_id"),
    (#"{\#(workspace),"agent_settings":{},"conversation_id":7}"#, "string_type", "body.conversation_id"),
    (#"{"agent_settings":{},"workspace":{}}"#, "missing", "body.workspace.working_dir"),
    (#"{\#(workspace),"agent":{"kind":"Agent"}}"#, "missing", "body.agent.llm"),
    (#"{\#(workspace),"agent":{}}"#, "missing", "body.agent.llm"),
    (#"{\#(workspace),"agent":{"llm":"m"}}"#, "model_attributes_type", "body.agent.llm"),
    (#"{\#(workspace),"agent":{"llm":{}}}"#, "missing", "body.agent.llm.model"),
    (#"{\#(workspace),"agent":{"kind":"Robot"}}"#, "value_error", "body.agent"),
    (#"{\#(workspace),"agent":7}"#, "dict_type", "body.agent"),
    (#"{\#(workspace),"agent_settings":{"llm":{"model":7}}}"#, "string_type", "body.agent_settings.llm.model"),
    (#"{\#(workspace),"agent_settings":{"schema_version":99}}"#, "value_error", "body.agent_settings"),
    (#"{\#(workspace),"agent_settings":{"agent_kind":"robot"}}"#, "value_error", "body.agent_settings"),
    (#"{\#(workspace),"agent_settings":{},"max_iterations":0}"#, "greater_than_equal", "body.max_iterations"),
    (#"{\#(workspace),"agent_settings":{},"secrets_encrypted":"maybe"}"#, "bool_parsing", "body.secrets_encrypted"),
    (#"{\#(workspace),"agent_settings":{},"secrets":[]}"#, "dict_type", "body.secrets"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":"text"}}"#, "model_attributes_type", "body.secrets.A"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":7}}"#, "model_attributes_type", "body.secrets.A"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":{"value":"v"}}}"#, "value_error", "body.secrets.A"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":{"kind":"Vault"}}}"#, "value_error", "body.secrets.A"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":{"kind":"LookupSecret"}}}"#, "missing", "body.secrets.A.url"),
    (#"{\#(workspace),"agent_settings":{},"secrets":{"A":{"kind":"StaticSecret","value":7}}}"#, "string_type", "body.secrets.A.value"),
    (#"{\#(workspace),"agent_settings":{},"tags":{"A b":"v"}}"#, "value_error", "body.tags.A b"),
    (#"{\#(workspace),"agent_settings":{},"agent_launch_additions":{"x":1}}"#, "extra_forbidden", "body.agent_launch_additions.x"),
  ])
  func refused(_ body: String, _ type: String, _ place: String) throws {
    do throws(ConversationRequest.Failure) {
      _ = try start(body)
      Issue.record("taken: \(body)")
    } catch {
      guard case .body(let issues) = error else { return #expect(Bool(false), "\(error)") }
      let found = issues.map { issue in
        let steps = issue.location.map { step in
          switch step {
          case .name(let name): name.text
          case .index(let index): "\(index)"
          }
        }
        return "\(issue.type) \(steps.joined(separator: "."))"
      }
      #expect(found == ["\(type) \(place)"])
    }
  }

  /// No text of a refusal repeats a value, nor a kind that may be one.
  @Test func refusalsRepeatNothing() throws {
    let body =
      #"{\#(Self.workspace),"agent":{"kind":"canary-1"},"secrets":{"A":{"kind":"canary-2"},"B":"canary-3"},"max_iterations":"canary-4"}"#
    #expect {
      _ = try start(body)
    } throws: { error in
      guard case .body(let issues)? = error as? ConversationRequest.Failure else { return false }
      let text = issues.map { String(decoding: $0.json.serialized(), as: UTF8.self) }.joined()
      return issues.count == 4 && !text.contains("canary")
    }
  }

  // MARK: - What is opened

  private static let everywhere = #"""
    {"workspace":{"working_dir":"/w"},"secrets_encrypted":FLAG,"agent":{"kind":"Agent","llm":{"model":"m","api_key":"gAAAAA-a",
    "extra_headers":{"X-Token":"gAAAAA-b","Accept":"gAAAAA-no"},"litellm_extra_body":{"deep":[{"password":"gAAAAA-c"}]},"unknown":"gAAAAA-no"},
    "condenser":{"kind":"C","llm":{"model":"m","api_key":"gAAAAA-d"},"condensers":[{"llm":{"api_key":"gAAAAA-e"}}]},
    "critic":{"api_key":"gAAAAA-f"},"mcp_config":{"s":{"env":{"A":"gAAAAA-g","B":" ","C":"**********"},"auth":{"strategy":"bearer","value":"gAAAAA-h"}}},
    "agent_context":{"secrets":{"A":"gAAAAA-i","B":{"kind":"StaticSecret","value":"gAAAAA-j"},"C":"**********","D":""}},"tools":[]},
    "secrets":{"A":{"kind":"StaticSecret","value":"gAAAAA-k","description":"d"},"B":{"kind":"LookupSecret","url":"http://h/x",
    "headers":{"X-Session-API-Key":"gAAAAA-l","Authorization":"plain","Accept":"gAAAAA-no"}},"C":{"kind":"StaticSecret","value":"**********"}}}
    """#

  @Test func everySecretPlaceIsOpened() throws {
    let request = try start(Self.everywhere.replacing("FLAG", with: "true"))
    #expect(Set(request.opened.map(\.text.text)) == Set("abcdefghijkl".map(String.init)))
    #expect(request.opened.count == 12)
    let body = JSONValue.object(request.body)
    #expect(body["secrets_encrypted"] == false && body["conversation_id"].text == Self.id)
    #expect(body["agent"]["llm"]["unknown"].text == "gAAAAA-no" && body["agent"]["llm"]["extra_headers"]["Accept"].text == "gAAAAA-no")
    #expect(body["agent"]["mcp_config"]["s"]["env"] == ["A": "g"])
    #expect(body["agent"]["agent_context"]["secrets"] == ["A": "i", "B": ["kind": "StaticSecret", "value": "j"], "D": ""])
    #expect(body["secrets"]["C"]["value"] == .null && body["secrets"]["A"]["description"] == "d")
    #expect(body["secrets"]["B"]["headers"] == ["X-Session-API-Key": "l", "Authorization": "plain", "Accept": "gAAAAA-no"])
    #expect(request.opened.contains { $0.pointer == "/agent/condenser/condensers/0/llm/api_key" })
  }

  @Test func withoutTheFlagTokensAreTexts() throws {
    let text = Self.everywhere.replacing("FLAG", with: "false")
    let request = try start(text)
    var sent = try #require(try parse(text).object)
    sent["conversation_id"] = .string(JSONString(Self.id))
    #expect(request.opened.isEmpty && request.body == sent)
    #expect(request.secrets.contains { $0.text == "gAAAAA-a" })
  }

  @Test func agentSettingsAreMigratedOpenedAndCompleted() throws {
    let request = try start(
      #"{\#(Self.workspace),"secrets_encrypted":true,"agent_settings":{"llm":{"model":"m","api_key":"gAAAAA-a"},"verification":{"critic_api_key":"gAAAAA-b"}}}"#
    )
    let settings = JSONValue.object(request.body)["agent_settings"]
    #expect(settings["schema_version"] == 5 && settings["llm"]["api_key"] == "a" && settings["verification"]["critic_api_key"] == "b")
    #expect(settings["llm"]["num_retries"] == 5)
    #expect(request.opened.map(\.pointer) == ["/agent_settings/llm/api_key", "/agent_settings/verification/critic_api_key"])
  }

  @Test func aServerListInItsOldWrappingIsOpened() throws {
    let request = try start(
      #"{\#(Self.workspace),"secrets_encrypted":true,"agent":{"llm":{"model":"m"},"mcp_config":{"mcpServers":{"s":{"env":{"A":"gAAAAA-a"}}}}}}"#
    )
    #expect(JSONValue.object(request.body)["agent"]["mcp_config"] == ["mcpServers": ["s": ["env": ["A": "a"]]]])
  }

  @Test(arguments: [
    (
      #"{"agent":{"llm":{"model":"m","api_key":"gAAAAA!","aws_session_token":"gAAAAA!"}}}"#,
      ["/agent/llm/api_key", "/agent/llm/aws_session_token"]
    ),
    (#"{"agent_settings":{"mcp_config":{"a/b":{"command":"c","env":{"K~":"gAAAAA!"}}}}}"#, ["/agent_settings/mcp_config/a~1b/env/K~0"]),
    (#"{"agent_settings":{},"secrets":{"A":{"kind":"StaticSecret","value":"gAAAAA!"}}}"#, ["/secrets/A/value"]),
    (
      #"{"agent_settings":{},"secrets":{"A":{"kind":"LookupSecret","url":"u","headers":{"Cookie":"gAAAAA!"}}}}"#,
      ["/secrets/A/headers/Cookie"]
    ),
    (#"{"agent":{"llm":{"model":"m"},"agent_context":{"secrets":{"A":"gAAAAA!"}}}}"#, ["/agent/agent_context/secrets/A"]),
  ])
  func whatDoesNotOpenIsNamed(_ body: String, _ pointers: [String]) throws {
    let text = #"{\#(Self.workspace),"secrets_encrypted":true,"# + body.dropFirst()
    #expect(throws: ConversationRequest.Failure.tokensDoNotOpen(pointers)) { try start(text) }
  }

  @Test(arguments: [
    ("00000000-0000-4000-8000-00000000000A", id), ("0000000000004000800000000000000A", id), ("x", nil), ("", nil),
    ("00000000-0000-4000-8000-0000000000", nil), ("0000000-00000-4000-8000-00000000000a", nil), ("0000000000004000800000000000000g", nil),
  ])
  func identifiers(_ text: String, _ canonical: String?) { #expect(UUIDText.canonical(Array(text.utf8)) == canonical) }

  // MARK: - Secrets of a conversation that runs

  @Test func shortFormsBecomeSources() throws {
    let body = try parse(
      #"{"secrets":{"A":"a","B":{"value":"gAAAAA-b","description":"d"},"C":{"kind":"LookupSecret","url":"/x"},"D":""},"secrets_encrypted":true}"#
    )
    let request = try ConversationRequest(secrets: body, conversation: Self.id, opening: Self.opening)
    #expect(
      JSONValue.object(request.body) == [
        "secrets": [
          "A": ["kind": "StaticSecret", "value": "a"], "B": ["kind": "StaticSecret", "value": "b"],
          "C": ["kind": "LookupSecret", "url": "/x"], "D": ["kind": "StaticSecret", "value": .null],
        ]
      ])
  }

  @Test(arguments: ["[]", "{}", #"{"secrets":7}"#, #"{"secrets":{"A":7}}"#, #"{"secrets":{"A":null}}"#, #"{"secrets":{"A":{}}}"#])
  func secretsRefused(_ text: String) throws {
    let body = try parse(text)
    #expect(throws: ConversationRequest.Failure.self) {
      try ConversationRequest(secrets: body, conversation: Self.id, opening: Self.opening)
    }
  }

  @Test(arguments: [
    (#"{"kind":"LookupSecret","url":"/api/settings/secrets/NAME"}"#, ConversationSecrets.Lookup.stored(SecretName(Array("NAME".utf8))!)),
    (#"{"kind":"LookupSecret","url":"/api/settings/secrets/NAME/x"}"#, nil),
    (#"{"kind":"LookupSecret","url":"/api/settings/secrets/1"}"#, nil),
    (#"{"kind":"LookupSecret","url":"/other"}"#, nil), (#"{"kind":"LookupSecret","url":"http://h/api/settings/secrets/NAME"}"#, nil),
    (#"{"kind":"StaticSecret","value":"v"}"#, .value("v")), (#"{"kind":"StaticSecret","value":null}"#, nil), (#""v""#, .value("v")),
  ])
  func lookups(_ source: String, _ expected: ConversationSecrets.Lookup?) throws {
    #expect(ConversationSecrets.lookup(try parse(source)) == expected)
  }
}
