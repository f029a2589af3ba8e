import HTTPMessages
import Service
import StrictJSON
import TestSupport
import Testing

/// Every change that a route makes is named by the audit chain, also those of rows beside its subject: after each one
/// verification finds nothing.
@Suite struct VerificationTests {
  private static let model = #"{"llm":{"model":"m","api_key":"value-1"}}"#

  /// `CONNECTION` stands for the id of the connection that was made.
  private static let steps: [(HTTPMethod, String, String?, Int)] = [
    (.patch, "/api/settings", #"{"agent_settings_diff":{"llm":{"model":"m","api_key":"value-0"}}}"#, 200),
    (.get, "/api/agent-profiles", nil, 200),  // seeds one, with an LLM profile
    (.put, "/api/settings/secrets", #"{"name":"A","value":"v"}"#, 200), (.put, "/api/settings/secrets", #"{"name":"A","value":"w"}"#, 200),
    (.delete, "/api/settings/secrets/A", nil, 200), (.put, "/api/settings/secrets", #"{"name":"A","value":"x"}"#, 200),
    (.post, "/api/settings/mcp/x", #"{"command":"c"}"#, 201), (.patch, "/api/settings/mcp/x", #"{"args":["y"]}"#, 200),
    (.delete, "/api/settings/mcp/x", nil, 200),
    (.post, "/api/profiles/work", model, 201), (.post, "/api/profiles/work", model, 201),
    (.post, "/api/agent-profiles/coder", #"{"llm_profile_ref":"work"}"#, 201), (.post, "/api/profiles/work/activate", nil, 200),
    (.post, "/api/profiles/work/rename", #"{"new_name":"home"}"#, 200),
    (.post, "/api/agent-profiles/coder/rename", #"{"new_name":"tester"}"#, 200), (.delete, "/api/agent-profiles/tester", nil, 200),
    (.delete, "/api/profiles/home", nil, 200),
    (.post, "/api/profiles/linked", #"{"llm":{"model":"m","provider_connection_id":"CONNECTION"}}"#, 201),
    (.post, "/api/profiles/linked/activate", nil, 200),
    (.patch, "/api/llm/provider-connections/CONNECTION", #"{"api_key":"value-new"}"#, 200), (.delete, "/api/profiles/linked", nil, 200),
    (.patch, "/api/settings", #"{"agent_settings_diff":{"llm":null}}"#, 200),
    (.delete, "/api/llm/provider-connections/CONNECTION", nil, 200),
    (.post, "/api/workspaces", #"{"workspaces":[{"id":"1","name":"a","path":"/a"}]}"#, 200),
    (.post, "/api/workspaces/parents", #"{"parents":[{"id":"1","name":"a","path":"/a"}]}"#, 200),
    (.delete, "/api/workspaces?path=/a", nil, 200),
  ]

  @Test func everyChangeIsNamedByTheChain() throws {
    let rig = try Rig(open: true)
    let connection = try rig.send(.post, "/api/llm/provider-connections", body: #"{"display_name":"work","api_key":"value-2"}"#)
    let id = connection.json["id"].text
    for (method, path, body, status) in Self.steps {
      func filled(_ text: String) -> String { text.split(separator: "CONNECTION", omittingEmptySubsequences: false).joined(separator: id) }
      let reply = try rig.send(method, filled(path), body: body.map(filled))
      #expect(reply.status == status, "\(method) \(path): \(reply.body)")
      #expect(try Verification(rig.service).run().findings == [], "\(method) \(path)")
    }
    let report = try Verification(rig.service).run()
    #expect(report.secrets == 1 && report.documents == 4)
  }
}
