internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// `POST /admin/v1/tenants/{tenant}/import/openhands`, on the control socket alone: the body holds a folder with its secrets.
extension AdminAPI {
  func importOpenHands(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let body: JSONObject
    do {
      let limits = JSONLimits(bytes: 256 << 20, depth: 128, members: 10_000_000)
      let value = try request.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) }
      guard let object = value.object else { throw AdminFailure.invalid("The body must be a JSON object.") }
      body = object
    } catch let error as JSONError { throw .malformedJSON(offset: error.offset) } catch {
      throw .invalid("The body must be a JSON object.")
    }
    guard let folder = body["folder"]?.object else { throw .invalid("folder must be an object.") }
    let keys = (body["keys"]?.array ?? []).compactMap { $0.string.map { SecretBytes(copying: $0.utf8) } }
    let skips = body["skipUnopened"]?.bool ?? false
    let isDryRun = body["dryRun"]?.bool ?? false
    let principal = Principal.localOperator(tenant: tenant)
    let service = desk.service
    return .later { send in
      service.importOpenHands(
        folder, keys: keys, skipsUnopened: skips, isDryRun: isDryRun, for: principal, requestID: request.id
      ) { result in
        let now = service.now()
        let response = result.map { Self.ok($0.json, request, at: now) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }
}

extension ImportReport {
  fileprivate var json: JSONValue {
    func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string(JSONString($0)) }) }
    return [
      "done": .bool(isDone), "settings": .bool(settings), "secrets": list(secrets), "emptySecrets": list(emptySecrets),
      "profiles": list(profiles), "agentProfiles": list(agentProfiles), "connections": .number(JSONNumber(connections)),
      "workspaces": .bool(workspaces), "unopened": list(unopened), "unreadable": list(unreadable),
    ]
  }
}
