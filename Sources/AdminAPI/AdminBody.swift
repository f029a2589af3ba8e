internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON

/// Bodies of the operator surface: JSON objects whose every member is known.
package enum AdminBody {
  private static let limits = JSONLimits(bytes: 4096, depth: 3, members: 16)
  private static let maximumName = 128
  /// Ten years, in seconds.
  private static let maximumLifetime: Int64 = 315_360_000

  static func object(_ request: Request, members: Set<String>, limits: JSONLimits = limits) throws(AdminFailure) -> JSONObject {
    guard let type = request[.contentType], isJSON(type) else { throw .mediaType }
    let value: JSONValue
    do {
      value = try request.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) }
    } catch { throw .malformedJSON(offset: error.offset) }
    guard let object = value.object else { throw .invalid("The body must be a JSON object.") }
    guard object.members.allSatisfy({ members.contains($0.name.text) }) else {
      throw .invalid("The body's members are: " + members.sorted().joined(separator: ", ") + ".")
    }
    return object
  }

  /// Milliseconds for which a rotated key lives on.
  static func overlap(_ request: Request) throws(AdminFailure) -> Int64 {
    let value = request.body.isEmpty ? nil : try object(request, members: ["overlapSeconds"])["overlapSeconds"]
    guard let value else { return 86_400_000 }
    guard let seconds = value.number?.int64, (0...maximumLifetime).contains(seconds) else {
      throw .invalid("overlapSeconds must be a number from 0 to \(maximumLifetime).")
    }
    return seconds * 1000
  }

  /// The time before which a chain is to be cut: a date in UTC, or so many days back.
  static func cut(_ request: Request, now: Int64) throws(AdminFailure) -> String {
    let object = try object(request, members: ["before", "keepDays"])
    switch (object["before"], object["keepDays"]) {
    case (.string(let date)?, nil):
      guard let start = UTCTime(date.text + "T00:00:00Z"), start.text.utf8.starts(with: date.utf8), date.utf8.count == 10 else {
        throw .invalid("before must be a date as in 2026-07-01.")
      }
      // Up to tomorrow, which is everything: a year that was mistyped must not be.
      guard start.unixMicroseconds / 1000 <= now + 86_400_000 else { throw .invalid("before must not be later than tomorrow.") }
      return date.text
    case (nil, .number(let days)?):
      guard let days = days.int64, (1...36_500).contains(days) else { throw .invalid("keepDays must be a number from 1 to 36500.") }
      return UTCTime(unixMicroseconds: (now - days * 86_400_000) * 1000).text
    default: throw .invalid("The body has either before or keepDays.")
    }
  }

  /// A head noted earlier, to compare a chain with; nil without one.
  static func head(_ request: Request) throws(AdminFailure) -> AuditHead? {
    guard !request.body.isEmpty, let head = try object(request, members: ["head"])["head"] else { return nil }
    guard let head = head.object, head.count == 2,
      let sequence = head["sequence"]?.number?.int64,
      sequence >= 0, let text = head["hash"]?.string, let hash = hash(text)
    else { throw .invalid("head must hold a sequence and a hash of 64 hexadecimal digits.") }
    return AuditHead(sequence: sequence, hash: hash)
  }

  private static func hash(_ text: JSONString) -> [UInt8]? {
    guard text.utf8.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for offset in stride(from: 0, to: 64, by: 2) {
      let pair = text.utf8[offset..<(offset + 2)]
      guard pair.first != UInt8(ascii: "+"), let byte = UInt8(String(decoding: pair, as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  static func isJSON(_ type: [UInt8]) -> Bool {
    let essence = type.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 }
    return String(decoding: essence, as: UTF8.self).lowercased() == "application/json"
  }

  /// What a new key is to be; `now` in Unix milliseconds.
  static func keyRequest(_ request: Request, now: Int64) throws(AdminFailure) -> KeyRequest {
    let object = try object(request, members: ["kind", "level", "role", "name", "expiresIn"])
    let rights: KeyRequest.Rights
    switch object["kind"]?.string ?? "session" {
    case "session":
      guard object["role"] == nil else { throw .invalid("A session key has no role.") }
      rights = .session(try level(object["level"]))
    case "admin":
      guard object["level"] == nil else { throw .invalid("An admin key has no level.") }
      rights = .admin(try role(object["role"]))
    default: throw .invalid("kind must be session or admin.")
    }
    if let kind = object["kind"], kind.string == nil { throw .invalid("kind must be session or admin.") }
    return KeyRequest(rights: rights, name: try name(object), expiresAt: try expiry(object["expiresIn"], now: now))
  }

  /// What an admin's key is to be: `{name, role, expiresIn?}`.
  static func adminRequest(_ request: Request, now: Int64) throws(AdminFailure) -> KeyRequest {
    let object = try object(request, members: ["name", "role", "expiresIn"])
    return KeyRequest(
      rights: .admin(try role(object["role"])), name: try name(object), expiresAt: try expiry(object["expiresIn"], now: now))
  }

  /// Another key of an admin: what the body leaves out is as in the one that is there.
  static func keyRequest(_ request: Request, of admin: APIKeyRow, _ role: OperatorRole, now: Int64) throws(AdminFailure) -> KeyRequest {
    let object = request.body.isEmpty ? JSONObject() : try object(request, members: ["name", "expiresIn"])
    return KeyRequest(
      rights: .admin(role), name: object["name"] == nil ? admin.name : try name(object),
      expiresAt: object["expiresIn"] == nil ? admin.expiresAt : try expiry(object["expiresIn"], now: now))
  }

  /// There is no usual one: a role that was forgotten must not be every right.
  private static func role(_ value: JSONValue?) throws(AdminFailure) -> OperatorRole {
    guard let role = value?.string.flatMap({ OperatorRole(rawValue: $0.text) }) else {
      throw .refused(.invalid("/role", "owner, operator or auditor"))
    }
    return role
  }

  private static func level(_ value: JSONValue?) throws(AdminFailure) -> Level {
    guard let value else { return .frontend }
    guard let level = value.string.flatMap({ Level(rawValue: $0.text) }) else {
      throw .invalid("level must be one of " + Level.allCases.map(\.rawValue).joined(separator: ", ") + ".")
    }
    return level
  }

  /// Of a tenant or a key.
  static func name(_ object: JSONObject) throws(AdminFailure) -> String {
    guard let name = object["name"]?.string?.text, isName(name) else { throw .invalid("name must be \(nameRule).") }
    return name
  }

  package static let nameRule = "text of 1 to \(maximumName) bytes without control characters"

  package static func isName(_ text: String) -> Bool {
    (1...maximumName).contains(text.utf8.count) && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
  }

  private static func expiry(_ value: JSONValue?, now: Int64) throws(AdminFailure) -> Int64? {
    guard let value, !value.isNull else { return nil }
    guard let seconds = value.number?.int64, (1...maximumLifetime).contains(seconds) else {
      throw .invalid("expiresIn must be a number of seconds from 1 to \(maximumLifetime), or null.")
    }
    return now + seconds * 1000
  }
}
