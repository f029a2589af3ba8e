internal import HTTPMessages
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// The shapes of answers (scoped spec, sections 1.3, 4 and 5).
enum Wire {
  static let json: StaticString = "application/json"

  static func text(_ value: String) -> JSONValue { .string(JSONString(value)) }
  static func number(_ value: some BinaryInteger) -> JSONValue { .number(JSONNumber(value)) }
  static func timeText(_ milliseconds: Int64) -> String { UTCTime(unixMicroseconds: milliseconds * 1000).text }
  static func time(_ milliseconds: Int64) -> JSONValue { text(timeText(milliseconds)) }

  // MARK: - Envelopes of answers

  static func body(_ data: JSONValue, _ request: Request, at now: Int64) -> [UInt8] {
    var writer = JSONWriter(reserving: 1024)
    writer.appendRaw("{\"data\":")
    writer.append(data)
    finish(&writer, request, at: now)
    return writer.bytes
  }

  /// What stands behind the data of every answer.
  static func finish(_ writer: inout JSONWriter, _ request: Request, at now: Int64) {
    writer.appendRaw(",\"requestId\":")
    writer.append(request.id)
    writer.appendRaw(",\"timestamp\":")
    writer.append(timeText(now))
    writer.appendRaw("}")
  }

  static func ok(_ data: JSONValue, _ request: Request, at now: Int64, headers: [(name: StaticString, value: String)] = []) -> Response {
    Response(status: Status(200), contentType: json, headers: headers, body: .bytes(body(data, request, at: now)))
  }

  static func page(_ rows: [JSONValue], cursor: String?, _ request: Request, at now: Int64) -> Response {
    var writer = JSONWriter(reserving: 4096)
    writer.appendRaw("{\"data\":")
    writer.append(.array(rows))
    writer.appendRaw(",\"cursor\":")
    writer.append(cursor.map(text) ?? .null)
    writer.appendRaw(",\"hasMore\":")
    writer.append(.bool(cursor != nil))
    finish(&writer, request, at: now)
    return Response(status: Status(200), contentType: json, body: .bytes(writer.bytes))
  }

  /// Erased once it was sent.
  static func secret(_ writer: inout JSONWriter, headers: [(name: StaticString, value: String)]) -> Response {
    defer { erase(&writer.bytes) }
    return Response(status: Status(200), contentType: json, headers: headers, body: .secret(SecretBytes(copying: writer.bytes)))
  }

  // MARK: - Secrets

  /// The aggregate without values.
  static func aggregate(_ view: SecretView) -> JSONObject {
    var object = head(view)
    object["fields"] = .array(view.fields.map { .object(field($0)) })
    return tail(view, object)
  }

  static func head(_ view: SecretView) -> JSONObject {
    var object = JSONObject()
    object["tenantId"] = text(view.tenant)
    object["scope"] = text(view.scope.kind.rawValue)
    object["scopeId"] = text(view.scope.id)
    object["secretId"] = text(view.id)
    object["secretName"] = text(view.name)
    object["category"] = text(view.category)
    object["tags"] = .array(view.tags.map(text))
    return object
  }

  static func tail(_ view: SecretView, _ start: JSONObject) -> JSONObject {
    var object = start
    object["revision"] = number(view.revision)
    object["createdAt"] = time(view.createdAt)
    object["updatedAt"] = time(view.updatedAt)
    object["createdBy"] = text(view.createdBy)
    object["updatedBy"] = text(view.updatedBy)
    return object
  }

  /// A field without what it holds.
  static func field(_ view: FieldView) -> JSONObject {
    JSONObject(uniqueMembers: [
      .init(name: "key", value: text(view.key)), .init(name: "fieldKey", value: text(view.key)),
      .init(name: "sensitivity", value: text(view.sensitivity.rawValue)), .init(name: "fieldVersion", value: number(view.version)),
      .init(name: "updatedAt", value: time(view.updatedAt)),
    ])
  }

  /// Where an effective secret came from, as members that follow others.
  static func appendResolution(_ from: Grant, _ shadowed: [EffectiveCandidate], to writer: inout JSONWriter) {
    writer.appendRaw(",\"resolvedFrom\":")
    writer.append(resolvedFrom(from))
    writer.appendRaw(",\"shadowed\":")
    writer.append(.array(shadowed.map(\.json)))
  }

  static func resolvedFrom(_ grant: Grant) -> JSONValue {
    ["scope": text(grant.scope.kind.rawValue), "scopeId": text(grant.scope.id), "name": text(grant.name)]
  }
}

extension JSONWriter {
  /// `"key":…,"fieldKey":…,"sensitivity":…,"value" or "envelope":…,"fieldVersion":…,"updatedAt":…`, without braces.
  mutating func append(_ view: FieldView, withEnvelope: Bool) {
    appendRaw("\"key\":")
    append(view.key)
    appendRaw(",\"fieldKey\":")
    append(view.key)
    appendRaw(",\"sensitivity\":")
    append(view.sensitivity.rawValue)
    switch view.content {
    case .value(let value):
      appendRaw(",\"value\":")
      value.withBytes { append(text: $0) }
    case .envelope(let envelope):
      if withEnvelope {
        appendRaw(",\"envelope\":")
        append(envelope)
      }
    case nil: break
    }
    appendRaw(",\"fieldVersion\":")
    append(view.version)
    appendRaw(",\"updatedAt\":")
    append(Wire.timeText(view.updatedAt))
  }

  mutating func append(_ envelope: EnvelopeV1) {
    let texts = envelope.base64
    appendRaw("{\"version\":1,\"iv\":")
    appendQuoted(texts.iv)
    appendRaw(",\"ciphertext\":")
    appendQuoted(texts.ciphertext)
    appendRaw(",\"authTag\":")
    appendQuoted(texts.authTag)
    appendRaw(",\"dataKeyCiphertext\":")
    appendQuoted(texts.dataKeyCiphertext)
    appendRaw("}")
  }
}

extension FieldView {
  /// Room for it in an answer, escapes included.
  var room: Int {
    switch content {
    case .value(let value): 512 + value.count * 6
    case .envelope(let envelope): 1024 + envelope.ciphertext.count / 3 * 4
    case nil: 512
    }
  }
}
