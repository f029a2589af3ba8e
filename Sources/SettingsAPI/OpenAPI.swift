internal import HTTPMessages
internal import StrictJSON

/// The description at `/openapi.json` (OpenAPI 3.1), made from the route table so that it cannot forget a route.
enum OpenAPI {
  static let document: [UInt8] = value.serialized()

  private static var value: JSONValue {
    var paths = JSONObject()
    for entry in Route.table {
      let path = JSONString("\(entry.pattern)")
      var item = paths[path]?.object ?? JSONObject()
      for method in entry.methods { item[JSONString(method.rawValue.lowercased())] = operation(entry, method) }
      paths[path] = .object(item)
    }
    return [
      "openapi": "3.1.0",
      "info": ["title": "Coffer: settings and secrets API", "version": .string(JSONString(ServerInfo.apiVersion))],
      "paths": .object(paths),
      "components": ["securitySchemes": ["sessionKey": ["type": "apiKey", "in": "header", "name": "X-Session-API-Key"]]],
    ]
  }

  private static func operation(_ entry: Route.Entry, _ method: HTTPMethod) -> JSONValue {
    var operation: JSONObject = JSONObject()
    operation["summary"] = .string(JSONString("\(entry.route.summary)"))
    let parameters = "\(entry.pattern)".split(separator: "/").filter { $0.hasPrefix("{") }.map { $0.dropFirst().dropLast() }
    if !parameters.isEmpty {
      operation["parameters"] = .array(
        parameters.map { ["name": .string(JSONString(String($0))), "in": "path", "required": true, "schema": ["type": "string"]] })
    }
    var responses: JSONObject = JSONObject()
    for status in statuses(entry.route) {
      responses[JSONString(String(status))] = ["description": .string(JSONString(StatusText.reason(status)))]
    }
    operation["responses"] = .object(responses)
    if !entry.route.isOpen { operation["security"] = [["sessionKey": []]] }
    return .object(operation)
  }

  private static func statuses(_ route: Route) -> [Int] {
    switch route {
    case .serverInfo, .alive, .ready, .documentation, .openAPI: [200]
    case .initialisation: [404]
    case .initialise: [401]
    case .settings: [200, 304, 400, 401, 403, 503]
    case .changeSettings: [200, 400, 401, 403, 404, 412, 413, 415, 422, 503, 507]
    case .agentSchema, .conversationSchema: [200, 401, 403]
    case .secrets: [200, 401, 403, 503]
    case .putSecret: [200, 401, 403, 412, 413, 415, 422, 503, 507]
    case .secretValue: [200, 401, 403, 404, 422, 503]
    case .deleteSecret: [200, 401, 403, 404, 412, 422, 503, 507]
    case .addMCPServer: [201, 401, 403, 404, 409, 412, 413, 415, 422, 503, 507]
    case .changeMCPServer: [200, 401, 403, 404, 412, 413, 415, 422, 503, 507]
    case .removeMCPServer: [200, 401, 403, 404, 412, 503, 507]
    case .agentProfiles: [200, 401, 403, 503, 507]
    case .agentProfile, .materializeAgentProfile: [200, 401, 403, 404, 422, 503]
    case .saveAgentProfile: [201, 401, 403, 409, 413, 415, 422, 503, 507]
    case .deleteAgentProfile: [200, 401, 403, 422, 503, 507]
    case .renameAgentProfile: [200, 401, 403, 404, 409, 413, 415, 422, 503, 507]
    case .activateAgentProfile: [200, 401, 403, 404, 503, 507]
    case .profiles, .connections, .workspaces: [200, 401, 403, 503]
    case .profile: [200, 400, 401, 403, 404, 422, 503]
    case .saveProfile: [201, 401, 403, 409, 413, 415, 422, 503, 507]
    case .deleteProfile: [200, 401, 403, 409, 422, 503, 507]
    case .renameProfile: [200, 401, 403, 404, 409, 413, 415, 422, 503, 507]
    case .activateProfile: [200, 401, 403, 404, 422, 503, 507]
    case .createConnection: [201, 401, 403, 409, 413, 415, 422, 503, 507]
    case .changeConnection: [200, 401, 403, 404, 413, 415, 422, 503, 507]
    case .deleteConnection: [200, 401, 403, 404, 409, 503, 507]
    case .addWorkspaces, .addWorkspaceParents: [200, 401, 403, 409, 413, 415, 422, 503, 507]
    case .removeWorkspace, .removeWorkspaceParent: [200, 401, 403, 404, 422, 503, 507]
    }
  }
}
