internal import KeyRing
internal import Store
internal import StrictJSON

/// Which row of a place is the newest. A version never comes twice in an incarnation, nor an incarnation in a tenant, so that
/// an older row put back is never equal to it.
struct RowState: Sendable, Hashable {
  let incarnation: UInt64
  let version: UInt64
}

/// What an event did to one stored row. It stands in the event's details, so that verification can tell the newest row from
/// an older one (docs/formats.md, Audit).
package struct RowChange: Sendable {
  /// `secrets/NAME`, `api_keys/ID`, or a document's `COLLECTION/NAME`.
  let place: String
  /// nil: the row is gone.
  let state: RowState?

  init(_ row: SecretRow) { self.init(place: Self.secret(row.name), state: row.state) }
  init(_ row: DocumentRow) { self.init(place: Self.document(row.collection, row.name), state: row.state) }
  init(_ row: APIKeyRow) { self.init(place: Self.apiKey(row.id), state: row.state) }

  init(_ row: some StructureRow) { self.init(place: row.chainPlace, state: row.state) }
  init(deleted row: some StructureRow) { self.init(deleted: row.chainPlace) }

  init(deleted place: String) { self.init(place: place, state: nil) }

  init(place: String, state: RowState?) {
    self.place = place
    self.state = state
  }

  static func secret(_ name: String) -> String { "secrets/" + name }
  static func document(_ collection: String, _ name: String) -> String { collection + "/" + name }
  /// Whether the incarnation of a row there is a number of the tenant's sequence.
  static func isNumbered(_ place: String) -> Bool {
    !isStructure(place) && ["api_keys/", Canary.prefix, scopedPrefix].allSatisfy { !place.hasPrefix($0) }
  }

  static func isStructure(_ place: String) -> Bool {
    ["teams/", "projects/", "agents/", "memberships/", "invites/"].contains { place.hasPrefix($0) }
  }

  static func apiKey(_ id: String) -> String { "api_keys/" + id }
}

extension SecretRow {
  var state: RowState { RowState(incarnation: incarnation, version: version) }
}

extension DocumentRow {
  var state: RowState { RowState(incarnation: incarnation, version: version) }
}

/// A row of a tenant's structure: who there is, and who may do what where.
protocol StructureRow: RootSealedRow {
  /// Below the tenant, as the audit chain names it.
  var chainPlace: String { get }
}

extension StructureRow {
  /// It has no version: a digest of its columns stands for one, 63 bits of it for each number.
  var state: RowState {
    let digest = macMessage.digest
    func number(_ start: Int) -> UInt64 { digest[start..<(start + 8)].reduce(0) { $0 << 8 | UInt64($1) } >> 1 }
    return RowState(incarnation: number(0), version: number(8))
  }
}

extension TeamRow: StructureRow { var chainPlace: String { "teams/" + id } }
extension ProjectRow: StructureRow { var chainPlace: String { "projects/" + id } }
extension AgentRow: StructureRow { var chainPlace: String { "agents/" + id } }
extension InviteRow: StructureRow { var chainPlace: String { "invites/" + id } }
extension MembershipRow: StructureRow { var chainPlace: String { "memberships/\(agent)/\(scope)/\(scopeID)" } }

extension APIKeyRow {
  /// A key has no version: what may change in its life stands for one, its end and its revocation.
  var state: RowState { RowState(incarnation: UInt64(bitPattern: expiresAt ?? 0), version: UInt64(bitPattern: revokedAt ?? 0)) }
}

extension AuditEvent {
  /// `details` with the rows among its members, in their order (RFC 8785): `"rows":{PLACE:[INCARNATION,VERSION]}`, null for a row
  /// that is gone.
  var storedDetails: String {
    guard !rows.isEmpty else { return details }
    let members = rows.sorted { $0.place.utf8.lexicographicallyPrecedes($1.place.utf8) }.map { change in
      Self.quoted(change.place) + ":" + (change.state.map { "[\($0.incarnation),\($0.version)]" } ?? "null")
    }
    let text = "\"rows\":{" + members.joined(separator: ",") + "}"
    if details.isEmpty || details == "{}" { return "{" + text + "}" }
    let known = (try? JSONValue.parse(Array(details.utf8), limits: Self.detailLimits).object)?.members ?? []
    guard let next = known.first(where: { "rows".utf8.lexicographicallyPrecedes($0.name.utf8) }) else {
      return details.dropLast() + "," + text + "}"
    }
    let (before, behind) = (known.prefix { $0.name != next.name }, known.drop { $0.name != next.name })
    func object(_ members: ArraySlice<JSONObject.Member>) -> String {
      String(decoding: JSONValue.object(JSONObject(uniqueMembers: Array(members))).serialized(), as: UTF8.self)
    }
    return (before.isEmpty ? "{" : object(before).dropLast() + ",") + text + "," + object(behind).dropFirst()
  }

  /// As JSON; hardly a place has anything to escape.
  private static func quoted(_ place: String) -> String {
    let isPlain = place.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    return isPlain ? "\"\(place)\"" : String(decoding: JSONValue.string(JSONString(place)).serialized(), as: UTF8.self)
  }

  /// The rows in an entry's details; none when there are none.
  static func rows(in details: String) -> [(place: String, state: RowState?)] {
    guard !details.isEmpty, let object = try? JSONValue.parse(Array(details.utf8), limits: detailLimits).object,
      let rows = object["rows"]?.object
    else { return [] }
    return rows.members.map { member in
      guard let numbers = member.value.array?.compactMap({ $0.number?.int64 }), numbers.count == 2 else { return (member.name.text, nil) }
      return (member.name.text, RowState(incarnation: UInt64(bitPattern: numbers[0]), version: UInt64(bitPattern: numbers[1])))
    }
  }

  private static let detailLimits = JSONLimits(bytes: 1 << 20, depth: 8, members: 100_000)
}
