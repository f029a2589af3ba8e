internal import Model
internal import StrictJSON

/// What an audit entry says besides its columns: canonical JSON, names and numbers only.
package struct AuditDetails: Sendable {
  private var members: [JSONObject.Member] = []

  package init(_ origin: RequestOrigin) {
    if !origin.address.isEmpty { set("sourceIp", .string(JSONString(origin.address))) }
  }

  func with(_ name: JSONString, _ value: JSONValue) -> AuditDetails {
    var copy = self
    copy.set(name, value)
    return copy
  }

  func with(code: ErrorCode) -> AuditDetails { with("code", .string(JSONString(code.rawValue))) }
  func with(reason: StaticString) -> AuditDetails { with("reason", .string(JSONString(stringLiteral: reason))) }
  func with(_ name: JSONString, _ texts: [String]) -> AuditDetails { with(name, .array(texts.map { .string(JSONString($0)) })) }
  func with(fieldVersion: UInt64) -> AuditDetails { with("fieldVersion", .number(JSONNumber(fieldVersion))) }
  func with(sensitivity: String) -> AuditDetails { with("sensitivity", .string(JSONString(sensitivity))) }

  /// The version of a field that an entry's details name, and what it was when the entry made it; nil when there is none.
  static func fieldVersion(in details: String) -> (number: UInt64, sensitivity: String?)? {
    guard let members = (try? JSONValue.parse(Array(details.utf8), limits: .scoped))?.object,
      let number = members["fieldVersion"]?.number?.int64.flatMap({ UInt64(exactly: $0) })
    else { return nil }
    return (number, members["sensitivity"]?.string?.text)
  }

  private mutating func set(_ name: JSONString, _ value: JSONValue) {
    members.append(JSONObject.Member(name: name, value: value))
  }

  /// RFC 8785: members by name; all names are ASCII.
  var text: String {
    let ordered = members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    return String(decoding: JSONValue.object(JSONObject(uniqueMembers: ordered)).serialized(), as: UTF8.self)
  }
}
