internal import Model
internal import StrictJSON

/// What an audit entry says besides its columns: canonical JSON, names and numbers only.
package struct AuditDetails: Sendable {
  /// Names, and values as JSON: most are so short that their text takes no memory of its own.
  private var members: [(name: String, json: String)] = []

  package init(_ origin: RequestOrigin) {
    members.reserveCapacity(4)
    if !origin.address.isEmpty { members.append(("sourceIp", JSONWriter.literal(origin.address))) }
  }

  private func with(_ name: String, json: String) -> AuditDetails {
    var copy = self
    copy.members.append((name, json))
    return copy
  }

  func with(_ name: String, text: String) -> AuditDetails { with(name, json: JSONWriter.literal(text)) }
  func with(_ name: String, _ texts: [String]) -> AuditDetails {
    with(name, json: "[" + texts.map(JSONWriter.literal).joined(separator: ",") + "]")
  }
  func with(code: ErrorCode) -> AuditDetails { with("code", text: code.rawValue) }
  func with(reason: StaticString) -> AuditDetails { with("reason", text: "\(reason)") }
  func with(fieldVersion: UInt64) -> AuditDetails { with("fieldVersion", json: String(fieldVersion)) }
  func with(kekVersion: UInt32) -> AuditDetails { with("kekVersion", json: String(kekVersion)) }
  func with(sensitivity: String) -> AuditDetails { with("sensitivity", text: sensitivity) }

  /// The version of a field that an entry's details name, and what it was when the entry made it; nil when there is none.
  static func fieldVersion(in details: String) -> (number: UInt64, sensitivity: String?)? {
    guard let members = (try? JSONValue.parse(Array(details.utf8), limits: .scoped))?.object,
      let number = members["fieldVersion"]?.number?.int64.flatMap({ UInt64(exactly: $0) })
    else { return nil }
    return (number, members["sensitivity"]?.string?.text)
  }

  /// RFC 8785: members by name; all names are ASCII.
  var text: String {
    var text = "{"
    text.reserveCapacity(96)
    for (name, json) in members.sorted(by: { $0.name < $1.name }) {
      text += text.utf8.count > 1 ? ",\"" : "\""
      text += name
      text += "\":"
      text += json
    }
    text += "}"
    return text
  }
}
