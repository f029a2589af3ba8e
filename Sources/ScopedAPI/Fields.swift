internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

// Single fields and their versions (scoped spec, sections 4.5, 5.6 to 5.8).
extension ScopedAPI {
  func field(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("field.read", .read)
    let version = call.request.target.rawQuery.isEmpty ? nil : try Query(call.request.target.rawQuery).version()
    switch try desk.field(action, version: version, ifNoneMatch: call.ifNoneMatch, for: call.caller, call.origin) {
    case .notModified(let tag): return .now(notModified(tag))
    case .read(let view, let exposure): return exposed(exposure, call, response(view, resolution: nil, call))
    }
  }

  func response(_ view: FieldView, resolution: (from: Grant, shadowed: [EffectiveCandidate])?, _ call: Call) -> Response {
    let members = view.rendering?.bytes {
      var writer = JSONWriter(reserving: view.room)
      writer.append(view, withEnvelope: true)
      return writer.bytes
    }
    var writer = JSONWriter(reserving: members.map { $0.count + 192 } ?? 512 + view.room)
    writer.appendRaw("{\"data\":{")
    if let members { writer.bytes += members } else { writer.append(view, withEnvelope: true) }
    if let resolution { Wire.appendResolution(resolution.from, resolution.shadowed, to: &writer) }
    writer.appendRaw("}")
    Wire.finish(&writer, call.request, at: service.now())
    if view.sensitivity == .plaintext { return Wire.secret(&writer, headers: [("ETag", view.tag)]) }
    return Response(status: Status(200), contentType: Wire.json, headers: [("ETag", view.tag)], body: .bytes(writer.bytes))
  }

  func setField(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("field.set", .write)
    let content = try call.body(action).content()
    let allowsDowngrade = try Query(call.request.target.rawQuery).flag("allowDowngrade")
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.set(content, action, conditions, allowsDowngrade: allowsDowngrade)
      return Self.stored(result, action, call, at: service.now())
    }
  }

  func rollBack(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("field.rolled_back", .write)
    let body = try call.body(action)
    guard let version = body.object["fieldVersion"]?.number?.int64, version > 0 else {
      throw ScopedFailure(.invalid("/fieldVersion", "an integer from 1"))
    }
    let allowsDowngrade = try Query(call.request.target.rawQuery).flag("allowDowngrade")
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.rollBack(to: UInt64(version), action, conditions, allowsDowngrade: allowsDowngrade)
      return Self.stored(result, action, call, at: service.now())
    }
  }

  private static func stored(_ result: FieldChangeResult, _ action: ScopedAction, _ call: Call, at now: Int64) -> StoredAnswer {
    var writer = JSONWriter(reserving: 512)
    writer.appendRaw("{\"data\":{\"secretId\":")
    writer.append(action.secretID)
    writer.appendRaw(",\"fieldKey\":")
    writer.append(action.fieldKey)
    writer.appendRaw(",\"key\":")
    writer.append(action.fieldKey)
    writer.appendRaw(",\"sensitivity\":")
    writer.append(result.view.sensitivity.rawValue)
    writer.appendRaw(",\"fieldVersion\":")
    writer.append(result.view.version)
    writer.appendRaw(",\"revision\":")
    writer.append(result.revision)
    writer.appendRaw(result.isChanged ? ",\"changed\":true}" : ",\"changed\":false}")
    Wire.finish(&writer, call.request, at: now)
    return StoredAnswer(tag: result.view.tag, body: writer.bytes)
  }

  func removeField(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try call.allowed("field.removed", .delete)
    let conditions = call.conditions
    let service = service
    return try change(call) { transaction in
      let result = try transaction.removeField(action, conditions)
      let data: JSONValue = [
        "secretId": Wire.text(action.secretID), "fieldKey": Wire.text(action.fieldKey), "removed": true,
        "alreadyRemoved": .bool(result.wasRemoved), "revision": Wire.number(result.revision),
      ]
      return StoredAnswer(body: Wire.body(data, call.request, at: service.now()))
    }
  }

  func versions(_ call: Call) throws(ScopedFailure) -> Response {
    let action = try call.allowed("field.versions", .read)
    let query = try Query(call.request.target.rawQuery)
    let question = query.question(call)
    let before = try query.cursor(question, service).flatMap { UInt64($0) } ?? .max
    let limit = try query.limit()
    let versions = try desk.versions(action, for: call.caller).filter { $0.number < before }
    let shown = versions.prefix(limit ?? versions.count)
    let cursor = shown.count < versions.count ? shown.last.flatMap { Cursor(String($0.number)).text(question, service) } : nil
    let rows: [JSONValue] = shown.map { version in
      [
        "fieldVersion": Wire.number(version.number), "sensitivity": Wire.text(version.sensitivity),
        "createdAt": Wire.time(version.createdAt), "createdBy": Wire.text(version.createdBy), "state": Wire.text(version.state.rawValue),
      ]
    }
    return Wire.page(rows, cursor: cursor, call.request, at: service.now())
  }
}
