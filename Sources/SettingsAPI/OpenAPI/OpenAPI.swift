internal import HTTPMessages
internal import StrictJSON

/// The description at `/openapi.json` (OpenAPI 3.1), made from the route table so that it cannot forget a route.
///
/// What an operation takes and gives stands in `Operation`, the bodies in `Schemas` and in the tables of validation.
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
      "info": [
        "title": "Coffer: settings and secrets API", "version": .string(JSONString(ServerInfo.apiVersion)),
        "description": "HEAD is answered wherever GET is. A path with a slash behind it is redirected (307) to the one without.",
      ],
      "paths": .object(paths),
      "components": [
        "schemas": .object(Schemas.all),
        "securitySchemes": ["sessionKey": ["type": "apiKey", "in": "header", "name": "X-Session-API-Key"]],
      ],
    ]
  }

  private static func operation(_ entry: Route.Entry, _ method: HTTPMethod) -> JSONValue {
    let described = Operation(entry.route)
    let names = "\(entry.pattern)".split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    var operation = JSONObject()
    operation["operationId"] = .string(JSONString(identifier(entry, method)))
    operation["summary"] = .string(JSONString("\(entry.route.summary)"))
    let parameters = names.map { Operation.pathParameter($0, entry.route) } + described.parameters
    if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
    if let body = described.body {
      operation["requestBody"] = ["required": true, "content": ["application/json": ["schema": Schemas.reference(body)]]]
    }
    operation["responses"] = .object(responses(described, entry.route))
    operation["security"] = entry.route.isOpen ? [] : [["sessionKey": []]]
    return .object(operation)
  }

  /// `getApiProfiles`, `postApiProfilesByNameRename`: one for each path and method.
  private static func identifier(_ entry: Route.Entry, _ method: HTTPMethod) -> String {
    let words = "\(entry.pattern)".split { "/-_.".contains($0) }.map { word in
      word.hasPrefix("{") ? "By" + capitalized(word.dropFirst().dropLast()) : capitalized(word)
    }
    return method.rawValue.lowercased() + (words.isEmpty ? "Root" : words.joined())
  }

  private static func capitalized(_ word: Substring) -> String { word.prefix(1).uppercased() + word.dropFirst() }

  private static func responses(_ operation: Operation, _ route: Route) -> JSONObject {
    var responses = JSONObject()
    if let success = operation.success {
      var response: JSONObject = JSONObject(uniqueMembers: [.init(name: "description", value: .string(JSONString(success.text)))])
      response["content"] = .object(JSONObject(uniqueMembers: [.init(name: success.media, value: ["schema": success.schema])]))
      if operation.hasTag { response["headers"] = entityTag }
      responses[JSONString(String(success.status))] = .object(response)
    }
    for status in operation.refusals(of: route) {
      responses[JSONString(String(status))] = refusal(status)
    }
    return responses
  }

  private static let entityTag: JSONValue = ["ETag": ["description": "The stored version.", "schema": ["type": "string"]]]

  private static func refusal(_ status: Int) -> JSONValue {
    let description: JSONValue = .string(JSONString(StatusText.reason(status)))
    switch status {
    case 304: return ["description": description, "headers": entityTag]
    case 422: return ["description": description, "content": ["application/json": ["schema": Schemas.reference("Unprocessable")]]]
    case 500...: return ["description": description, "content": ["application/json": ["schema": Schemas.reference("ServerFailure")]]]
    default: return ["description": description, "content": ["application/json": ["schema": Schemas.reference("Refusal")]]]
    }
  }
}
