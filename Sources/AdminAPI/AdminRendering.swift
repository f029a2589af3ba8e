internal import HTTPMessages
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON

/// Rows as they leave. Digests, MACs and sealed bytes never do.
enum AdminRendering {
  static func key(_ row: APIKeyRow) -> JSONObject {
    var object = JSONObject()
    object["id"] = text(row.id)
    object["tenant"] = text(row.tenant)
    object["kind"] = text(row.kind)
    object["level"] = row.kind == APIKeyKind.session.rawValue ? text(row.role) : nil as JSONValue
    object["role"] = row.kind == APIKeyKind.session.rawValue ? nil as JSONValue : text(row.role)
    object["name"] = text(row.name)
    object["createdAt"] = time(row.createdAt)
    object["expiresAt"] = row.expiresAt.map(time) ?? .null
    object["revokedAt"] = row.revokedAt.map(time) ?? .null
    return object
  }

  static func tenant(_ row: TenantRow, isDefault: Bool) -> JSONValue {
    [
      "id": text(row.id), "name": text(row.name), "isDefault": .bool(isDefault), "isDeleted": .bool(row.isDeleted),
      "createdAt": time(row.createdAt),
    ]
  }

  static func entry(_ row: AuditRow) -> JSONValue {
    [
      "sequence": .number(JSONNumber(row.sequence)), "at": text(row.at), "actorType": text(row.actorType), "actorId": text(row.actorID),
      "keyId": text(row.keyID), "action": text(row.action), "scope": text(row.scope), "scopeId": text(row.scopeID),
      "secretId": text(row.secretID), "fieldKey": text(row.fieldKey), "revision": text(row.revision), "outcome": text(row.outcome),
      "requestId": text(row.requestID), "details": text(row.details), "hash": text(hexadecimal(row.hash)),
    ]
  }

  /// As it is exported: with what proves it.
  static func exported(_ row: AuditRow) -> JSONValue {
    var object = entry(row).object ?? JSONObject()
    object["tenant"] = text(row.tenant)
    object["mac"] = text(hexadecimal(row.mac))
    return .object(object)
  }

  static func head(_ head: AuditHead?) -> JSONValue {
    ["sequence": .number(JSONNumber(head?.sequence ?? 0)), "hash": head.map { text(hexadecimal($0.hash)) } ?? .null]
  }

  static func chain(_ chain: StoreCopy.Chain) -> JSONValue {
    [
      "tenant": text(chain.tenant), "name": text(chain.name), "sequence": .number(JSONNumber(chain.head?.sequence ?? 0)),
      "hash": chain.head.map { text(hexadecimal($0.hash)) } ?? .null,
    ]
  }

  static func verdict(_ verdict: AuditVerdict) -> JSONValue {
    [
      "ok": .bool(verdict.isIntact), "entries": .number(JSONNumber(verdict.entries)),
      "firstBad": verdict.firstBad.map { .number(JSONNumber($0)) } ?? .null,
      "cutThrough": verdict.cutThrough.map { .number(JSONNumber($0)) } ?? .null, "headIsCut": .bool(verdict.headIsCut),
    ]
  }

  static func trimming(_ trimming: AuditTrimming?) -> JSONValue {
    [
      "removed": .number(JSONNumber(trimming?.removed ?? 0)), "cutThrough": trimming.map { .number(JSONNumber($0.through)) } ?? .null,
      "hasMore": .bool(trimming?.hasMore ?? false),
    ]
  }

  static func text(_ value: String) -> JSONValue { .string(JSONString(value)) }

  /// Unix milliseconds as RFC 3339; null for what no clock says.
  static func time(_ milliseconds: Int64) -> JSONValue {
    let (microseconds, overflows) = milliseconds.multipliedReportingOverflow(by: 1000)
    return overflows ? .null : text(UTCTime(unixMicroseconds: microseconds).text)
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String { WireText.hexadecimalText(bytes) }
}

extension NewKey {
  /// The key's row and, this once, its text. The text needs no escapes: it is made of letters, digits and underscores.
  ///
  /// - Parameter old: the key that it replaces.
  func response(replacing old: APIKeyRow? = nil, requestID: String, time: String) -> Response {
    var data = AdminRendering.key(row)
    data["replaces"] = old.map { .object(AdminRendering.key($0)) }
    var bytes = Array("{\"data\":".utf8) + JSONValue.object(data).serialized().dropLast()
    bytes += Array(",\"key\":\"".utf8)
    bytes.reserveCapacity(bytes.count + 512)
    token.withBytes { token in unsafe token.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
    let tail: JSONValue = ["requestId": AdminRendering.text(requestID), "timestamp": AdminRendering.text(time)]
    bytes += Array("\"},".utf8) + tail.serialized().dropFirst()
    defer { for index in bytes.indices { bytes[index] = 0 } }
    return Response(status: Status(201), contentType: "application/json", body: .secret(SecretBytes(copying: bytes)))
  }
}
