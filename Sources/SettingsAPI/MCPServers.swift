internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// `/api/settings/mcp/{key}` (spec section 6).
extension SettingsAPI {
  func changeMCPServer(
    _ parameters: [[UInt8]], _ request: Request, _ principal: Principal, _ status: Status,
    _ read: (JSONValue) throws(BodyError) -> MCPChange
  ) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let key = try serverKey(parameters)
    switch try RequestBody.read(request) {
    case .refused(let response): return .now(response)
    case .json(let body):
      let change: MCPChange
      do { change = try read(body) } catch { throw .invalidBody(error.issues) }
      return changed(key, change, request, principal, status)
    }
  }

  func removeMCPServer(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    return changed(try serverKey(parameters), .remove, request, principal, .ok)
  }

  private func changed(_ key: JSONString, _ change: MCPChange, _ request: Request, _ principal: Principal, _ status: Status) -> Answer {
    writing(request) { service, condition, id, send in
      service.changeMCPServer(key, change, ifMatch: condition, for: principal, requestID: id) { result in
        send(result.map { Self.answer($0, status) })
      }
    }
  }

  /// Any text that is UTF-8.
  private func serverKey(_ parameters: [[UInt8]]) throws(ServiceError) -> JSONString {
    guard let key = parameters.first, UTF8Sequence.isValid(key) else { throw .absent(.mcpServer, "") }
    return JSONString(utf8: key)
  }
}
