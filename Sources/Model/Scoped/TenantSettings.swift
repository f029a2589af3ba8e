package import StrictJSON

/// What an operator may set for a tenant; the scoped spec names each where it counts.
package struct TenantSettings: Sendable, Equatable {
  package var plaintextPolicy = PlaintextPolicy.allow
  package var orgDefaultRole: Role? = .reader
  package var requireIfMatch = false
  package var allowKeysWithoutExpiry = false
  /// Earlier versions of a field that stay readable.
  package var retainVersions: Int64 = 5
  package var deletionWindowDays: Int64 = 7
  package var dataKeyTtlSeconds: Int64 = 900
  package var kekMaxAgeDays: Int64 = 365
  package var maxSecretsPerScope: Int64 = 1_000
  package var maxFieldsPerSecret: Int64 = 64
  package var maxAgents: Int64 = 100
  package var maxTeams: Int64 = 50
  package var maxProjects: Int64 = 200
  package var maxKeysPerAgent: Int64 = 20

  package enum PlaintextPolicy: String, Sendable { case allow, deny }

  package init() {}

  private struct Number: Sendable {
    let name: JSONString
    let path: any WritableKeyPath<TenantSettings, Int64> & Sendable
    let range: ClosedRange<Int64>
  }

  private static let numbers = [
    Number(name: "retainVersions", path: \.retainVersions, range: 0...50),
    Number(name: "deletionWindowDays", path: \.deletionWindowDays, range: 0...90),
    Number(name: "dataKeyTtlSeconds", path: \.dataKeyTtlSeconds, range: 60...86_400),
    Number(name: "kekMaxAgeDays", path: \.kekMaxAgeDays, range: 0...36_500),
    Number(name: "maxSecretsPerScope", path: \.maxSecretsPerScope, range: 0...10_000_000),
    Number(name: "maxFieldsPerSecret", path: \.maxFieldsPerSecret, range: 0...1_000),
    Number(name: "maxAgents", path: \.maxAgents, range: 0...1_000_000),
    Number(name: "maxTeams", path: \.maxTeams, range: 0...10_000),
    Number(name: "maxProjects", path: \.maxProjects, range: 0...100_000),
    Number(name: "maxKeysPerAgent", path: \.maxKeysPerAgent, range: 0...1_000),
  ]

  package var json: JSONObject {
    var object = JSONObject()
    object["plaintextPolicy"] = .string(JSONString(plaintextPolicy.rawValue))
    object["orgDefaultRole"] = .string(JSONString(orgDefaultRole?.rawValue ?? "none"))
    object["requireIfMatch"] = .bool(requireIfMatch)
    object["allowKeysWithoutExpiry"] = .bool(allowKeysWithoutExpiry)
    for number in Self.numbers { object[number.name] = .number(JSONNumber(self[keyPath: number.path])) }
    return object
  }

  /// What differs from the defaults, for the tenant's row; empty when nothing does.
  package var stored: String {
    let usual = TenantSettings().json
    let members = json.members.filter { usual[$0.name] != $0.value }
    return members.isEmpty ? "" : String(decoding: JSONValue.object(JSONObject(uniqueMembers: members)).serialized(), as: UTF8.self)
  }

  /// nil when it is none of what `stored` makes.
  package init?(stored text: String) {
    guard !text.isEmpty else { return }
    guard let object = try? JSONValue.parse(Array(text.utf8), limits: .scoped).object, (try? apply(object)) != nil else { return nil }
  }

  /// Takes over every member; null sets one back. Unknown names are refused: a misspelt rule must not seem to hold.
  package mutating func apply(_ changes: JSONObject) throws(Refusal) {
    let usual = Self().json
    for member in changes.members {
      guard let value = member.value.isNull ? usual[member.name] : member.value else {
        throw .invalid("/" + member.name.pointerToken, "is no setting")
      }
      try set(member.name, value)
    }
  }

  private mutating func set(_ name: JSONString, _ value: JSONValue) throws(Refusal) {
    let pointer = "/" + name.pointerToken
    if let number = Self.numbers.first(where: { $0.name == name }) {
      guard let found = value.number?.int64, number.range.contains(found) else { throw .invalid(pointer, "is no integer of its range") }
      self[keyPath: number.path] = found
      return
    }
    switch name {
    case "plaintextPolicy":
      guard let policy = value.string.flatMap({ PlaintextPolicy(rawValue: $0.text) }) else { throw .invalid(pointer, "allow or deny") }
      plaintextPolicy = policy
    case "orgDefaultRole":
      guard let text = value.string?.text, text == "none" || Role(rawValue: text) != nil else { throw .invalid(pointer, "a role or none") }
      orgDefaultRole = Role(rawValue: text)
    case "requireIfMatch":
      guard let flag = value.bool else { throw .invalid(pointer, "true or false") }
      requireIfMatch = flag
    case "allowKeysWithoutExpiry":
      guard let flag = value.bool else { throw .invalid(pointer, "true or false") }
      allowKeysWithoutExpiry = flag
    default: throw .invalid(pointer, "is no setting")
    }
  }
}
