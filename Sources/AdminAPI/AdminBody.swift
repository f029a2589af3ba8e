internal import HTTPMessages
internal import SecretMemory
internal import Service
internal import StrictJSON

/// Bodies of the operator surface: JSON objects whose every member is known.
enum AdminBody {
  private static let limits = JSONLimits(bytes: 4096, depth: 3, members: 16)
  private static let maximumName = 128
  /// Ten years, in seconds.
  private static let maximumLifetime: Int64 = 315_360_000

  static func object(_ request: Request, members: Set<String>) throws(AdminFailure) -> JSONObject {
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

  private static func isJSON(_ type: [UInt8]) -> Bool {
    let essence = type.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 }
    return String(decoding: essence, as: UTF8.self).lowercased() == "application/json"
  }

  /// What a new key is to be; `now` in Unix milliseconds.
  static func keyRequest(_ request: Request, now: Int64) throws(AdminFailure) -> KeyRequest {
    let object = try object(request, members: ["kind", "level", "name", "expiresIn"])
    let rights: KeyRequest.Rights
    switch object["kind"]?.string ?? "session" {
    case "session": rights = .session(try level(object["level"]))
    case "admin":
      guard object["level"] == nil else { throw .invalid("An admin key has no level.") }
      rights = .admin
    default: throw .invalid("kind must be session or admin.")
    }
    if let kind = object["kind"], kind.string == nil { throw .invalid("kind must be session or admin.") }
    return KeyRequest(rights: rights, name: try name(object), expiresAt: try expiry(object["expiresIn"], now: now))
  }

  private static func level(_ value: JSONValue?) throws(AdminFailure) -> Level {
    guard let value else { return .frontend }
    guard let level = value.string.flatMap({ Level(rawValue: $0.text) }) else {
      throw .invalid("level must be one of " + Level.allCases.map(\.rawValue).joined(separator: ", ") + ".")
    }
    return level
  }

  /// 1 to 128 bytes of text without control characters.
  static func name(_ object: JSONObject) throws(AdminFailure) -> String {
    let rule = AdminFailure.invalid("name must be text of 1 to \(maximumName) bytes without control characters.")
    guard let name = object["name"]?.string, (1...maximumName).contains(name.utf8.count),
      name.text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) })
    else { throw rule }
    return name.text
  }

  private static func expiry(_ value: JSONValue?, now: Int64) throws(AdminFailure) -> Int64? {
    guard let value, !value.isNull else { return nil }
    guard let seconds = value.number?.int64, (1...maximumLifetime).contains(seconds) else {
      throw .invalid("expiresIn must be a number of seconds from 1 to \(maximumLifetime), or null.")
    }
    return now + seconds * 1000
  }
}
