internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// `/api/llm/provider-connections` (spec section 9.3).
extension SettingsAPI {
  func connections(_ principal: Principal) throws(ServiceError) -> Answer {
    .now(json(.array(try desk.connections(for: principal).map(\.json))))
  }

  func createConnection(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    return try withBody(request) { body in
      self.writing(request) { service, _, id, send in
        service.createConnection(body, for: principal, requestID: id) { result in send(result.map { Failure.body(Status(201), $0.json) }) }
      }
    }
  }

  func changeConnection(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let connection = connectionID(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let change: ProviderConnection.Change
      do throws(BodyError) { change = try ProviderConnection.Change(body: body) } catch { throw .invalidBody(error.issues) }
      return self.writing(request) { service, _, id, send in
        service.changeConnection(connection, change, for: principal, requestID: id) { result in
          send(result.map { Failure.body(.ok, $0.json) })
        }
      }
    }
  }

  func deleteConnection(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let connection = connectionID(parameters)
    return writing(request) { service, _, id, send in
      service.deleteConnection(connection, for: principal, requestID: id) { result in send(result.map { Failure.body(.ok, $0.deleted) }) }
    }
  }

  /// Any text: what is no id of ours is found nowhere.
  private func connectionID(_ parameters: [[UInt8]]) -> String { String(decoding: parameters.first ?? [], as: UTF8.self) }
}
