internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

// Whole secrets: list, create or replace, read, metadata, delete, history (scoped spec, sections 3.2, 5.1 to 5.5, 5.9).
extension ScopedAPI {
  func scopes(_ call: Call) throws(ScopedFailure) -> Response {
    guard call.caller.grants.capabilities.contains(.list) else { throw ScopedFailure(.lacks("secrets:list")) }
    let query = try Query(call.request.target.rawQuery)
    let question = query.question(call)
    var grants = call.caller.access.grants[...]
    if let last = try query.cursor(question, service) {
      // The agent may have lost the place meanwhile.
      guard let index = grants.firstIndex(where: { Self.position(of: $0) == last }) else { throw query.refusedCursor }
      grants = grants[(index + 1)...]
    }
    let shown = grants.prefix(try query.limit() ?? grants.count)
    let cursor = shown.count < grants.count ? shown.last.flatMap { Cursor(Self.position(of: $0)).text(question, service) } : nil
    let rows: [JSONValue] = shown.map { grant in
      [
        "scope": Wire.text(grant.scope.kind.rawValue), "scopeId": Wire.text(grant.scope.id), "name": Wire.text(grant.name),
        "role": Wire.text(grant.role.rawValue), "via": Wire.text(grant.via),
      ]
    }
    return Wire.page(rows, cursor: cursor, call.request, at: service.now())
  }

  private static func position(of grant: Grant) -> String { "\(grant.scope.kind.rawValue)/\(grant.scope.id)" }

  func list(_ call: Call) throws(ScopedFailure) -> Response {
    let action = try call.allowed("secrets.listed", .list)
    let query = try Query(call.request.target.rawQuery)
    let question = query.question(call)
    let after = try query.cursor(question, service) ?? ""
    let page = try desk.secrets(action.scope, try query.filter(), after: after, limit: try query.limit(), for: call.caller)
    let cursor = page.hasMore ? page.rows.last.flatMap { Cursor($0.id).text(question, service) } : nil
    return Wire.page(page.rows.map { .object(Wire.aggregate($0)) }, cursor: cursor, call.request, at: service.now())
  }

  func secret(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("secret.read", .read)
    let wanted = try Query(call.request.target.rawQuery).wantedFields()
    switch try desk.secret(action, only: wanted, ifNoneMatch: call.ifNoneMatch, for: call.caller, call.origin) {
    case .notModified(let tag): return .now(notModified(tag))
    case .read(let view, let exposure): return exposed(exposure, call, response(view, resolution: nil, call))
    }
  }

  /// The aggregate with its plaintext values, and the envelopes.
  func response(_ view: SecretView, resolution: (from: Grant, shadowed: [EffectiveCandidate])?, _ call: Call) -> Response {
    var writer = JSONWriter(reserving: 4096 + view.fields.reduce(0) { $0 + $1.room })
    writer.appendRaw("{\"data\":{\"aggregate\":{")
    writer.appendMembers(Wire.head(view))
    writer.appendRaw(",\"fields\":[")
    for (index, field) in view.fields.enumerated() {
      writer.appendRaw(index == 0 ? "{" : ",{")
      writer.append(field, withEnvelope: false)
      writer.appendRaw("}")
    }
    writer.appendRaw("],")
    writer.appendMembers(Wire.tail(view, JSONObject()))
    writer.appendRaw("},\"envelopes\":{")
    var isFirst = true
    for field in view.fields {
      guard case .envelope(let envelope) = field.content else { continue }
      if !isFirst { writer.appendRaw(",") }
      isFirst = false
      writer.append(field.key)
      writer.appendRaw(":")
      writer.append(envelope)
    }
    writer.appendRaw("}")
    if let resolution { Wire.appendResolution(resolution.from, resolution.shadowed, to: &writer) }
    writer.appendRaw("}")
    Wire.finish(&writer, call.request, at: service.now())
    return Wire.secret(&writer, headers: [("ETag", view.tag)])
  }

  func putSecret(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("secret.created", .write)
    let query = try Query(call.request.target.rawQuery)
    let plan = try call.body(action).plan(for: action.secretID, allowsDowngrade: try query.flag("allowDowngrade"))
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.put(plan, action, conditions)
      return Self.stored(result, call, created: result.isCreated, at: service.now())
    }
  }

  func patchSecret(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("secret.metadata_updated", .write)
    let body = try call.body(action)
    let (name, category, tags) = (try body.title(), try body.category(), try body.tags())
    guard name != nil || category != nil || tags != nil else { throw ScopedFailure(code: .emptyPatch) }
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.patch(name: name, category: category, tags: tags, action, conditions)
      return Self.stored(result, call, created: nil, at: service.now())
    }
  }

  private static func stored(_ result: SecretChangeResult, _ call: Call, created: Bool?, at now: Int64) -> StoredAnswer {
    var data = JSONObject()
    data["secretId"] = Wire.text(result.view.id)
    if let created { data["created"] = .bool(created) }
    data["changed"] = .bool(result.isChanged)
    data["revision"] = Wire.number(result.view.revision)
    data["aggregate"] = .object(Wire.aggregate(result.view))
    return StoredAnswer(tag: result.view.tag, body: Wire.body(.object(data), call.request, at: now))
  }

  func deleteSecret(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("secret.deleted", .delete)
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.deleteSecret(action, conditions)
      let data: JSONValue = [
        "secretId": Wire.text(action.secretID), "deleted": true, "alreadyDeleted": .bool(result.wasDeleted),
        "purgeAfter": Wire.time(result.purgeAfter),
      ]
      return StoredAnswer(body: Wire.body(data, call.request, at: service.now()))
    }
  }

  func history(_ call: Call) throws(ScopedFailure) -> Response {
    let action = try call.allowed("secret.history", .history)
    let query = try Query(call.request.target.rawQuery)
    let question = query.question(call)
    var filter = HistoryFilter()
    filter.action = try query.one("action")
    filter.fieldKey = try query.one("fieldKey")
    filter.since = try query.time("since").map(Wire.timeText)
    filter.until = try query.time("until").map(Wire.timeText)
    let before = try query.cursor(question, service).flatMap { Int64($0) } ?? .max
    let page = try desk.history(action, filter, before: before, limit: try query.limit(), for: call.caller)
    let cursor = page.hasMore ? page.entries.last.flatMap { Cursor(String($0.row.sequence)).text(question, service) } : nil
    return Wire.page(page.entries.map { .object($0.json) }, cursor: cursor, call.request, at: service.now())
  }
}

extension Query {
  /// `fields=a,b`; nil = all.
  func wantedFields() throws(ScopedFailure) -> Set<String>? { try one("fields").map { Set($0.split(separator: ",").map(String.init)) } }
}

extension JSONWriter {
  /// The members of an object without its braces.
  mutating func appendMembers(_ object: JSONObject) {
    for (index, member) in object.members.enumerated() {
      if index > 0 { appendRaw(",") }
      append(member.name)
      appendRaw(":")
      append(member.value)
    }
  }
}

extension HistoryEntry {
  var json: JSONObject {
    var object = JSONObject()
    object["id"] = Wire.text(id)
    object["seq"] = Wire.number(row.sequence)
    object["at"] = Wire.text(row.at)
    object["action"] = Wire.text(row.action)
    object["outcome"] = Wire.text(row.outcome)
    object["actor"] = [
      "type": Wire.text(actor.type), "id": Wire.text(actor.id), "name": Wire.text(actor.name), "keyId": Wire.text(actor.keyID),
    ]
    if !fieldKey.isEmpty { object["fieldKey"] = Wire.text(fieldKey) }
    if let version = details["fieldVersion"] { object["fieldVersion"] = version }
    if let number = Int64(revision) { object["revision"] = Wire.number(number) }
    object["changed"] = details["changed"] ?? []
    if let code = details["code"] { object["code"] = code }
    object["requestId"] = Wire.text(row.requestID)
    object["sourceIp"] = details["sourceIp"] ?? .null
    return object
  }
}
