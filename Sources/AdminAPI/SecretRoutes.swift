internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// Secrets of the scoped dialect as operators see them: metadata, restore, purge (scoped spec, section 10).
extension AdminAPI {
  func secretRecords(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk, ["includeDeleted"])
    let includesDeleted = try query.flag("includeDeleted")
    var after = (scope: "", scopeID: "", id: "")
    if let place = try query.position(String.self) {
      let parts = place.split(separator: "/").map(String.init)
      guard parts.count == 3 else { throw ListQuery.refusedCursor }
      after = (parts[0], parts[1], parts[2])
    }
    // The rows of one id stay together: a page may be longer by the deleted ones of its last id.
    let rows = try refused { () throws(ScopedFailure) in
      try desk.secretRecords(tenant: tenant, after: after, limit: query.limit + 200)
    }
    var ids: [String] = []
    var shown: [SecretRecord] = []
    for row in rows {
      let id = row.place
      if ids.last != id {
        if shown.count >= query.limit { break }
        ids.append(id)
      }
      if includesDeleted || row.deletedAt == nil { shown.append(row) }
    }
    let isLast = rows.count < query.limit + 200 && rows.last?.place == ids.last
    let cursor: String? = if !isLast, let last = ids.last { try query.cursor(behind: last) } else { nil }
    return page(shown.map { .object($0.json) }, cursor: cursor, request)
  }

  func secretRecord(_ parameters: [String], _ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let scope = try Self.scope(parameters)
    let includesDeleted = try request.target.flag("includeDeleted")
    let records = try refused { () throws(ScopedFailure) in
      try desk.secretRecords(tenant: tenant, scope, parameters[3], includesDeleted: includesDeleted)
    }
    guard let first = records.first else { throw .refused(Refusal(.secretNotFound)) }
    var object = first.json
    if includesDeleted { object["others"] = .array(records.dropFirst().map { .object($0.json) }) }
    return ok(.object(object), request)
  }

  func restoreSecret(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let scope = try Self.scope(parameters)
    let incarnation = request.body.isEmpty ? nil : try StructureBody(request).optionalText("incarnation") ?? nil
    let id = parameters[3]
    return structure(tenant, request, principal) { change in
      .object(AdminRendering.secret(try change.restoreSecret(scope, id, incarnation: incarnation)))
    }
  }

  /// `?confirm=SECRET` must be the secret's id: nothing brings a purged secret back.
  func purgeSecret(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let scope = try Self.scope(parameters)
    let id = parameters[3]
    guard request.target.queryValue("confirm") == id else { throw .refused(.invalid("/query/confirm", "the secret's id")) }
    return structure(tenant, request, principal) { change in
      let count = try change.purgeSecret(scope, id)
      return ["secretId": AdminRendering.text(id), "purged": .number(JSONNumber(count))]
    }
  }

  static func scope(_ parameters: [String]) throws(AdminFailure) -> Scope {
    guard let kind = ScopeKind(rawValue: parameters[1]), Scope.isID(parameters[2]) else { throw .noRoute }
    guard ScopedNames.isSecretID(parameters[3]) else { throw .refused(.invalid("/secretId", "a secret id")) }
    return Scope(kind, parameters[2])
  }
}

extension SecretRecord {
  fileprivate var place: String { "\(view.scope.kind.rawValue)/\(view.scope.id)/\(view.id)" }

  fileprivate var json: JSONObject {
    var object = AdminRendering.secret(view)
    object["incarnation"] = AdminRendering.text(incarnation)
    object["deletedAt"] = deletedAt.map(AdminRendering.time) ?? .null
    object["purgeAfter"] = purgeAfter.map(AdminRendering.time) ?? .null
    return object
  }
}
