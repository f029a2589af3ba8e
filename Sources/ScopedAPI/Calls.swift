internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

extension Call {
  /// What the path asks for, when the caller may have it: access first, then the rules for names.
  func allowed(_ name: StaticString, _ capability: Capabilities) throws(ScopedFailure) -> ScopedAction {
    guard let kind = ScopeKind(rawValue: parameters[0]) else { throw ScopedFailure(code: .notFound) }
    guard Scope.isID(parameters[1]) else { throw ScopedFailure(.invalid("/scopeId", "an id")) }
    let action = ScopedAction(
      name, needs: capability, on: Scope(kind, parameters[1]), secret: parameters.count > 2 ? parameters[2] : "",
      field: parameters.count > 3 ? parameters[3] : "")
    try caller.demand(action, origin)
    if parameters.count > 2, !ScopedNames.isSecretID(action.secretID) { throw ScopedFailure(.invalid("/secretId", "a secret id")) }
    if parameters.count > 3, !ScopedNames.isFieldKey(action.fieldKey) { throw ScopedFailure(.invalid("/fieldKey", "a field key")) }
    return action
  }

  /// The body, whose members must not contradict the path.
  func body(_ action: ScopedAction) throws(ScopedFailure) -> Body {
    let body = try Body(request)
    var path: [(JSONString, String)] = [
      ("scope", action.scope.kind.rawValue), ("scopeId", action.scope.id), ("secretId", action.secretID),
    ]
    if !action.fieldKey.isEmpty { path.append(("fieldKey", action.fieldKey)) }
    try body.agree(with: path)
    return body
  }

  var ifNoneMatch: EntityTagCondition? { request[.ifNoneMatch].map(EntityTagCondition.init(parsing:)) }

  /// `If-None-Match` counts on PUT, where it asks that nothing be replaced.
  var conditions: Preconditions {
    Preconditions(
      ifMatch: request[.ifMatch].map(EntityTagCondition.init(parsing:)), ifNoneMatch: request.method == .put ? ifNoneMatch : nil)
  }

  func claim() throws(ScopedFailure) -> IdempotencyClaim? {
    try IdempotencyClaim(
      request[.idempotencyKey], by: caller.keyID, request.method.rawValue, path: request.target.rawPath, query: request.target.rawQuery,
      body: request.body)
  }
}

extension ScopedAPI {
  /// Runs a change and sends what it rendered inside its transaction.
  func change(_ call: Call, _ body: @escaping @Sendable (ScopedTransaction) throws -> StoredAnswer) throws(ScopedFailure) -> Answer {
    let service = service
    let claim = try call.claim()
    return .later { send in
      service.change(by: call.caller, call.origin, once: claim, body) { result in
        switch result {
        case .success(let answer): send(Self.response(answer))
        case .failure(let failure): send(Failure.response(failure.refusal, call.request, at: service.now()))
        }
      }
    }
  }

  private static func response(_ answer: StoredAnswer) -> Response {
    var headers: [(name: StaticString, value: String)] = []
    if let tag = answer.tag { headers.append(("ETag", tag)) }
    if let warning = answer.warning { headers.append(("X-Quota-Warning", warning)) }
    return Response(status: Status(answer.status), contentType: Wire.json, headers: headers, body: .bytes(answer.body))
  }

  /// Sends `response` once `event` is in the audit chain; at once when there is none.
  func exposed(_ event: AuditEvent?, _ call: Call, _ response: Response) -> Answer {
    guard let event else { return .now(response) }
    let service = service
    return .later { send in
      service.record(event, by: call.caller.principal, requestID: call.request.id) { result in
        switch result {
        case .success: send(response)
        case .failure(let error): send(Failure.response(ScopedFailure(error).refusal, call.request, at: service.now()))
        }
      }
    }
  }

  func notModified(_ tag: String) -> Response { Response(status: Status(304), headers: [("ETag", tag)]) }
}
