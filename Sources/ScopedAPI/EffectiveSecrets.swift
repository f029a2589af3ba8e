internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

// Which secret an agent uses when several scopes have one of an id (scoped spec, section 3.4).
extension ScopedAPI {
  func effectiveList(_ call: Call) throws(ScopedFailure) -> Response {
    guard call.caller.grants.capabilities.contains(.list) else { throw ScopedFailure(.lacks("secrets:list")) }
    let query = try Query(call.request.target.rawQuery)
    let question = query.question(call)
    let after = try query.cursor(question, service)
    let limit = try query.limit()
    var entries = try desk.effectiveSecrets(try query.effective(), try query.filter(), for: call.caller, call.origin)
    if let after { entries = Array(entries.drop { !after.utf8.lexicographicallyPrecedes($0.id.utf8) }) }
    var cursor: String?
    if let limit, entries.count > limit {
      entries = Array(entries.prefix(limit))
      cursor = entries.last.flatMap { Cursor($0.id).text(question, service) }
    }
    return Wire.page(entries.map { .object($0.json) }, cursor: cursor, call.request, at: service.now())
  }

  func effectiveSecret(_ call: Call) throws(ScopedFailure) -> Answer {
    let query = try Query(call.request.target.rawQuery)
    let (action, resolution) = try resolved(call, query, "secret.read")
    switch try desk.secret(action, only: try query.wantedFields(), ifNoneMatch: call.ifNoneMatch, for: call.caller, call.origin) {
    case .notModified(let tag): return .now(notModified(tag))
    case .read(let view, let exposure): return exposed(exposure, call, response(view, resolution: resolution, call))
    }
  }

  func effectiveField(_ call: Call) throws(ScopedFailure) -> Answer {
    let query = try Query(call.request.target.rawQuery)
    let (action, resolution) = try resolved(call, query, "field.read")
    switch try desk.field(action, version: try query.version(), ifNoneMatch: call.ifNoneMatch, for: call.caller, call.origin) {
    case .notModified(let tag): return .now(notModified(tag))
    case .read(let view, let exposure): return exposed(exposure, call, response(view, resolution: resolution, call))
    }
  }

  private func resolved(_ call: Call, _ query: Query, _ name: StaticString) throws(ScopedFailure) -> (
    ScopedAction, (from: Grant, shadowed: [EffectiveCandidate])
  ) {
    guard call.caller.grants.capabilities.contains(.read) else { throw ScopedFailure(.lacks("secrets:read")) }
    let secret = call.parameters[0]
    let field = call.parameters.count > 1 ? call.parameters[1] : ""
    guard ScopedNames.isSecretID(secret) else { throw ScopedFailure(.invalid("/secretId", "a secret id")) }
    guard field.isEmpty || ScopedNames.isFieldKey(field) else { throw ScopedFailure(.invalid("/fieldKey", "a field key")) }
    let resolution = try desk.resolve(secret, try query.effective(), for: call.caller, call.origin)
    return (ScopedAction(name, needs: .read, on: resolution.from.scope, secret: secret, field: field), resolution)
  }
}

extension EffectiveEntry {
  var json: JSONObject {
    switch self {
    case .secret(let secret):
      var object = Wire.aggregate(secret.view)
      object["resolvedFrom"] = Wire.resolvedFrom(secret.from)
      object["shadowed"] = .array(secret.shadowed.map(\.json))
      return object
    case .ambiguous(let id, let candidates):
      var object = JSONObject()
      object["secretId"] = Wire.text(id)
      object["ambiguous"] = true
      object["candidates"] = .array(candidates.map(\.json))
      return object
    }
  }
}
