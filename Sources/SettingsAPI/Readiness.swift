internal import Gateway
internal import HTTPMessages
internal import Service
internal import StrictJSON
internal import Threads

/// `GET /ready` with a key: how the agent servers are, too. Without one it says no more than the recorded server does.
extension SettingsAPI {
  /// Seconds that each agent server has.
  private static let patience = 2

  /// nil without a good key, and where there is no agent server.
  func readyForOperators(_ request: Request) -> Answer? {
    guard let conversations, let key = request[.sessionKey], let principal = try? desk.authenticate(key),
      principal.level.allows(.converse)
    else { return nil }
    let servers = conversations.servers.all
    return .later { send in
      let found = Locked<[Int: AgentServerHealth]>([:])
      for (index, server) in servers.enumerated() {
        server.gateway.look(seconds: Self.patience) { health in
          let all = found.withLock { found -> [Int: AgentServerHealth] in
            found[index] = health
            return found
          }
          if all.count == servers.count { send(Self.answer(servers, all)) }
        }
      }
    }
  }

  private static func answer(_ servers: [AgentServers.Named], _ found: [Int: AgentServerHealth]) -> Response {
    let list: [JSONValue] = servers.indices.map { index in
      [
        "name": servers[index].name.isEmpty ? .null : .string(JSONString(servers[index].name)),
        "status": .string(JSONString((found[index] ?? .busy).rawValue)),
      ]
    }
    let body: JSONValue = ["status": "ready", "agent_servers": .array(list)]
    return Response(status: .ok, contentType: MediaType.json, body: .bytes(body.serialized()))
  }
}
