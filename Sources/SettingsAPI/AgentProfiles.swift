internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// `/api/agent-profiles` (spec section 9.2).
extension SettingsAPI {
  func agentProfiles(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    if let list = try desk.agentProfiles(for: principal) { return .now(Self.answer(list)) }
    return writing(request) { service, _, id, send in
      service.seedAgentProfile(for: principal, requestID: id) { result in send(result.map { Self.answer($0) }) }
    }
  }

  private static func answer(_ list: AgentProfileList) -> Response {
    let profiles = list.profiles.map { profile -> JSONValue in
      [
        "id": .string(JSONString(profile.id)), "name": .string(JSONString(profile.name)), "agent_kind": .string(profile.kind),
        "revision": profile["revision"], "llm_profile_ref": profile["llm_profile_ref"], "mcp_server_refs": profile["mcp_server_refs"],
      ]
    }
    return Failure.body(.ok, ["profiles": .array(profiles), "active_agent_profile_id": list.active])
  }

  func agentProfile(_ parameters: [[UInt8]], _ principal: Principal) throws(ServiceError) -> Answer {
    let name = try profileName(parameters)
    return .now(json(["name": .string(JSONString(name)), "profile": try desk.agentProfile(name, for: principal).json]))
  }

  func saveAgentProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return try withBody(request) { body in
      self.writing(request) { service, _, id, send in
        service.saveAgentProfile(name, body, for: principal, requestID: id) { result in
          send(result.map { Self.agentDone(name, "Agent profile '\(name)' saved", Status(201)) })
        }
      }
    }
  }

  func deleteAgentProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return writing(request) { service, _, id, send in
      service.deleteAgentProfile(name, for: principal, requestID: id) { result in
        send(result.map { Self.agentDone(name, "Agent profile '\(name)' deleted") })
      }
    }
  }

  func renameAgentProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let newName: String
      do throws(BodyError) { newName = try ProfileName.renaming(body) } catch { throw .invalidBody(error.issues) }
      return self.writing(request) { service, _, id, send in
        service.renameAgentProfile(name, to: newName, for: principal, requestID: id) { result in
          send(
            result.map { isOther in
              Self.agentDone(
                newName, isOther ? "Agent profile '\(name)' renamed to '\(newName)'" : "Agent profile '\(name)' unchanged (same name)")
            })
        }
      }
    }
  }

  func activateAgentProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let profile = String(decoding: parameters.first ?? [], as: UTF8.self)
    return writing(request) { service, _, id, send in
      service.activateAgentProfile(profile, for: principal, requestID: id) { result in
        send(
          result.map {
            Failure.body(
              .ok,
              [
                "id": .string(JSONString(profile)), "message": .string(JSONString("Agent profile '\(profile)' activated")),
                "agent_settings_applied": false,
              ])
          })
      }
    }
  }

  func materialize(_ parameters: [[UInt8]], _ principal: Principal) throws(ServiceError) -> Answer {
    .now(json(try desk.materialized(try profileName(parameters), for: principal).json))
  }

  private static func agentDone(_ name: String, _ message: String, _ status: Status = .ok) -> Response {
    Failure.body(status, ["name": .string(JSONString(name)), "message": .string(JSONString(message))])
  }
}
