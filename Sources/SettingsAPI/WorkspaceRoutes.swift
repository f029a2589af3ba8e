internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// `/api/workspaces` (spec section 9.4).
extension SettingsAPI {
  func workspaces(_ principal: Principal) throws(ServiceError) -> Answer { .now(json(try desk.workspaces(for: principal).json)) }

  func addWorkspaces(_ list: Workspaces.List, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    return try withBody(request) { body throws(ServiceError) in
      let additions: [JSONValue]
      do throws(BodyError) { additions = try Workspaces.additions(body, to: list) } catch { throw .invalidBody(error.issues) }
      return self.writing(request) { service, _, id, send in
        service.addWorkspaces(additions, to: list, for: principal, requestID: id) { result in
          send(result.map { Failure.body(.ok, $0.json) })
        }
      }
    }
  }

  func removeWorkspace(_ list: Workspaces.List, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    guard let path = request.target.queryValue("path").map({ JSONString($0) }) else { throw .invalidBody([.missing(["query", "path"])]) }
    return writing(request) { service, _, id, send in
      service.removeWorkspace(path, from: list, for: principal, requestID: id) { result in
        send(result.map { _ in Failure.body(.ok, ["deleted": true]) })
      }
    }
  }
}
