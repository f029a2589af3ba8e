import HTTPMessages
import Service
import StrictJSON
import TestSupport
import Testing

@testable import Model

@Suite struct AgentProfilesTests {
  private func save(_ rig: Rig, _ name: String, _ body: String) throws -> Int {
    try rig.send(.post, "/api/agent-profiles/\(name)", body: body).status
  }

  @Test func theFirstListMakesOneOfTheSettings() throws {
    let rig = try Rig(open: true)
    let settings =
      #"{"agent_settings_diff":{"llm":{"model":"m","api_key":"value-1"},"enable_sub_agents":true,"verification":{"critic_api_key":"value-2"}}}"#
    #expect(try rig.send(.patch, "/api/settings", body: settings).status == 200)
    let list = try rig.send(.get, "/api/agent-profiles").json
    let first = try #require(list["profiles"].list.first)
    #expect(first["name"] == "default" && first["llm_profile_ref"] == "default")
    #expect(list["active_agent_profile_id"] == first["id"])
    let profile = try rig.send(.get, "/api/agent-profiles/default")
    #expect(profile.json["profile"]["enable_sub_agents"] == true)
    #expect(!profile.body.contains("value-") && !profile.body.contains("critic_api_key"))
    // The settings' key has a profile of its own now; listing again makes nothing more.
    #expect(try rig.send(.get, "/api/profiles").json["profiles"].list.first?["api_key_set"] == true)
    #expect(try rig.send(.get, "/api/agent-profiles").json == list)
    #expect(try rig.audit().filter { $0.hasPrefix("agent_profile.create") }.count == 1)
  }

  @Test func aReaderSeedsNothing() throws {
    let rig = try Rig()
    let masked = try rig.newKey(.masked).text
    #expect(try rig.send(.get, "/api/agent-profiles", key: masked).json == ["profiles": [], "active_agent_profile_id": nil])
    #expect(try rig.send(.post, "/api/agent-profiles/x", key: masked, body: #"{"llm_profile_ref":"w"}"#).status == 403)
  }

  @Test func idsStayAndRevisionsCount() throws {
    let rig = try Rig(open: true)
    #expect(try save(rig, "coder", #"{"llm_profile_ref":"w"}"#) == 201)
    let first = try rig.send(.get, "/api/agent-profiles/coder").json["profile"]
    #expect(try save(rig, "coder", #"{"llm_profile_ref":"w","id":"00000000-0000-4000-8000-000000000000","revision":40,"name":"x"}"#) == 201)
    let second = try rig.send(.get, "/api/agent-profiles/coder").json["profile"]
    #expect(first["id"] == second["id"] && second["revision"] == 1 && second["name"] == "coder")
    #expect(UUIDText.isValid(try #require(first["id"].string).utf8))
    #expect(try rig.send(.post, "/api/agent-profiles/\(first["id"].text)/activate").status == 200)
    #expect(try rig.send(.post, "/api/agent-profiles/coder/rename", body: #"{"new_name":"other"}"#).status == 200)
    #expect(try rig.send(.get, "/api/settings").json["active_agent_profile_id"] == first["id"])
    #expect(try rig.send(.delete, "/api/agent-profiles/other").status == 200)
    #expect(try rig.send(.get, "/api/settings").json["active_agent_profile_id"] == .null)
  }

  @Test func theLLMProfileItNamesIsHeld() throws {
    let rig = try Rig(open: true)
    #expect(try rig.send(.post, "/api/profiles/work", body: #"{"llm":{"model":"m","api_key":"value-1"}}"#).status == 201)
    #expect(try save(rig, "coder", #"{"llm_profile_ref":"work"}"#) == 201)
    #expect(try rig.send(.delete, "/api/profiles/work").status == 409)
    #expect(try rig.send(.post, "/api/profiles/work/rename", body: #"{"new_name":"home"}"#).status == 200)
    let profile = try rig.send(.get, "/api/agent-profiles/coder").json["profile"]
    #expect(profile["llm_profile_ref"] == "home" && profile["revision"] == 0)
    let dry = try rig.send(.post, "/api/agent-profiles/coder/materialize")
    #expect(dry.json["valid"] == true && dry.json["resolved_settings"]["llm"]["api_key"] == "**********")
    #expect(!dry.body.contains("value-1"))
    #expect(try rig.send(.delete, "/api/agent-profiles/coder").status == 200)
    #expect(try rig.send(.delete, "/api/profiles/home").status == 200)
  }

  @Test(arguments: [
    ("{}", #"["openhands","llm_profile_ref"]"#, "missing"),
    (#"{"llm_profile_ref":""}"#, #"["openhands","llm_profile_ref"]"#, "string_too_short"),
    (#"{"agent_kind":"acp","llm_profile_ref":"w"}"#, #"["acp","llm_profile_ref"]"#, "extra_forbidden"),
    (#"{"agent_kind":"robot"}"#, "[]", "union_tag_invalid"), (#"{"agent_kind":null}"#, "[]", "union_tag_not_found"),
    ("[]", #"["body"]"#, "dict_type"),
    (#"{"llm_profile_ref":"w","tools":[{"name":" "}]}"#, #"["openhands","tools",0,"name"]"#, "value_error"),
    (#"{"llm_profile_ref":"w","id":"value-1"}"#, #"["openhands","id"]"#, "uuid_parsing"),
    (#"{"llm_profile_ref":"w","tool_concurrency_limit":0}"#, #"["openhands","tool_concurrency_limit"]"#, "greater_than_equal"),
    (#"{"llm_profile_ref":"w","value-1":1}"#, #"["openhands","value-1"]"#, "extra_forbidden"),
  ])
  func refusals(_ body: String, _ place: String, _ type: String) throws {
    let rig = try Rig(open: true)
    let reply = try rig.send(.post, "/api/agent-profiles/bad", body: body)
    #expect(reply.status == 422)
    let issue = try #require(reply.json["detail"].list.first)
    #expect(issue["type"].text == type)
    #expect(String(decoding: issue["loc"].serialized(), as: UTF8.self) == place)
    #expect(try rig.send(.get, "/api/agent-profiles/bad").status == 404)
  }

  @Test func anUnknownVersionIsRefused() throws {
    let rig = try Rig(open: true)
    for version in ["99", "0", #""x""#] {
      #expect(try save(rig, "bad", "{\"llm_profile_ref\":\"w\",\"schema_version\":\(version)}") == 422)
    }
    for version in ["1", "2", "null"] { #expect(try save(rig, "good", "{\"llm_profile_ref\":\"w\",\"schema_version\":\(version)}") == 201) }
  }

  @Test(arguments: [
    ("a b", ["a", "b"]), ("  a\t'b  c' ", ["a", "b  c"]), (#"a "b \" \x" c\ d"#, ["a", #"b " \x"#, "c d"]), ("''", [""]), ("", []),
    ("a'b'\"c\"", ["abc"]),
  ])
  func shellWords(_ text: String, _ words: [String]) {
    #expect(ShellWords.split(text) == words)
    #expect(ShellWords.split(ShellWords.join(words)) == words)
  }

  @Test(arguments: ["'a", "\"a", "a\\", "\"a\\"])
  func openQuotations(_ text: String) { #expect(ShellWords.split(text) == nil) }
}
