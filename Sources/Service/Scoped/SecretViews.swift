internal import KeyRing
package import Model
internal import SecretMemory
internal import Store
internal import Threads

/// A secret of the scoped dialect as it is shown, with or without what its fields hold.
package struct SecretView: Sendable {
  package let tenant: String
  package let scope: Scope
  package let id: String
  package let name: String
  package let category: String
  package let tags: [String]
  package let revision: UInt64
  /// Unix milliseconds.
  package let createdAt: Int64
  package let updatedAt: Int64
  package let createdBy: String
  package let updatedBy: String
  /// In order of key.
  package let fields: [FieldView]
  /// With its quotes.
  package let tag: String
}

package struct FieldView: Sendable {
  package let key: String
  package let sensitivity: Sensitivity
  package let version: UInt64
  package let updatedAt: Int64
  /// nil where only metadata is shown.
  package let content: FieldContent?
  package let tag: String
  /// Of a view that is shown again and again; nil otherwise.
  package var rendering: Rendering?
}

/// What a view looks like on the wire, made when it is first shown. Of sealed envelopes alone: nothing else may be kept.
package final class Rendering: Sendable {
  private let bytes = Locked<[UInt8]?>(nil)

  package func bytes(_ render: () -> [UInt8]) -> [UInt8] {
    bytes.withLock { bytes in
      let made = bytes ?? render()
      bytes = made
      return made
    }
  }
}

/// The answer of a read that may be conditional.
package enum ConditionalRead<Value: Sendable>: Sendable {
  case notModified(tag: String)
  /// `exposure` must be in the audit chain before the value leaves; nil when nothing is exposed.
  case read(Value, exposure: AuditEvent?)
}

/// What a change asks to be true (scoped spec, section 4.7).
package struct Preconditions: Sendable {
  package var ifMatch: EntityTagCondition?
  /// `*`: the thing must not exist.
  package var ifNoneMatch: EntityTagCondition?

  package init(ifMatch: EntityTagCondition? = nil, ifNoneMatch: EntityTagCondition? = nil) {
    self.ifMatch = ifMatch
    self.ifNoneMatch = ifNoneMatch
  }

  /// - Parameter tag: of the thing as it is stored; nil when there is none.
  func check(_ tag: String?) throws(ScopedFailure) {
    let bytes = tag.map { Array($0.utf8) }
    if ifNoneMatch?.matches(bytes) == true || ifMatch?.matches(bytes) == false {
      throw ScopedFailure(.precondition(currentTag: tag))
    }
  }

  /// For changes of something that exists, where the tenant wants them conditional.
  func demand(_ settings: TenantSettings) throws(ScopedFailure) {
    if settings.requireIfMatch, ifMatch == nil { throw ScopedFailure(code: .preconditionRequired) }
  }
}

extension ScopedSecretRow {
  /// `"s<revision>-<first 8 hex of the incarnation>"`.
  var tag: String { "\"s\(revision)-\(incarnationText)\"" }

  var incarnationText: String {
    let digits = String(incarnation >> 32, radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }

  func tag(of field: FieldRow) -> String { "\"f\(field.version)-\(incarnationText)\"" }
  var scopeValue: Scope { Scope(ScopeKind(rawValue: place.scope) ?? .agent, place.scopeID) }
}

extension Service {
  /// The row with its MAC, under the tenant's active keys.
  func signed(_ row: ScopedSecretRow, in store: any StoreReading) throws(ServiceError) -> ScopedSecretRow {
    var row = row
    let keys = try vault.activeKeys(tenant: row.place.tenant, in: store)
    row.kekVersion = keys.version
    row.mac = try keys.mac(of: row)
    return row
  }

  /// Checks the row's MAC.
  func verified(_ row: ScopedSecretRow, in store: any StoreReading) throws(ServiceError) -> ScopedSecretRow {
    let keys = try vault.keys(tenant: row.place.tenant, version: row.kekVersion, in: store)
    guard constantTimeEqual(try keys.mac(of: row), row.mac) else { throw .unreadable }
    return row
  }

  func verified(_ row: FieldRow, in store: any StoreReading) throws(ServiceError) -> FieldRow {
    let keys = try vault.keys(tenant: row.tenant, version: row.kekVersion, in: store)
    guard constantTimeEqual(try keys.mac(of: row), row.mac) else { throw .unreadable }
    return row
  }

  /// An earlier version of the field, checked; nil unless it is retained.
  func retained(_ version: UInt64, of field: FieldRow, in store: any StoreReading) throws -> FieldRow? {
    guard version < field.version,
      let row = try store.fieldVersion(tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, version: version)
    else { return nil }
    let checked = try verified(row, in: store)
    return checked.state == .removed ? nil : checked
  }

  func verified(_ row: DataKeyRow, in store: any StoreReading) throws(ServiceError) -> DataKeyRow {
    let keys = try vault.keys(tenant: row.tenant, version: row.kekVersion, in: store)
    guard constantTimeEqual(try keys.mac(of: row), row.mac) else { throw .unreadable }
    return row
  }

  func content(of field: FieldRow, of secret: ScopedSecretRow, in store: any StoreReading) throws(ServiceError) -> FieldContent {
    let content = try vault.keys(tenant: field.tenant, version: field.kekVersion, in: store).open(field, of: secret)
    guard content.sensitivity.rawValue == field.sensitivity else { throw .unreadable }
    return content
  }

  /// The live secret, checked; nil when there is none.
  func liveSecret(_ place: ScopeKey, _ id: String, in store: any StoreReading) throws -> ScopedSecretRow? {
    try store.scopedSecret(place, id: id).map { try verified($0, in: store) }
  }

  /// - Parameter wanted: the fields to show; nil = all.
  func view(_ row: ScopedSecretRow, withContent: Bool = false, only wanted: Set<String>? = nil, in store: any StoreReading) throws
    -> SecretView
  {
    let rows = try store.fields(tenant: row.place.tenant, incarnation: row.incarnation, withValues: withContent)
    var fields: [FieldView] = []
    for field in try newest(rows, of: row, in: store) where field.state == .live && wanted?.contains(field.fieldKey) != false {
      fields.append(try view(field, of: row, content: withContent ? try content(of: field, of: row, in: store) : nil))
    }
    guard let tags = [String](jsonText: row.tags) else { throw ServiceError.unreadable }
    return SecretView(
      tenant: row.place.tenant, scope: row.scopeValue, id: row.secretID, name: row.name, category: row.category, tags: tags,
      revision: row.revision, createdAt: row.createdAt, updatedAt: row.updatedAt, createdBy: row.createdBy, updatedBy: row.updatedBy,
      fields: fields, tag: row.tag)
  }

  func view(_ field: FieldRow, of secret: ScopedSecretRow, content: FieldContent?) throws -> FieldView {
    guard let sensitivity = Sensitivity(rawValue: field.sensitivity) else { throw ServiceError.unreadable }
    return FieldView(
      key: field.fieldKey, sensitivity: sensitivity, version: field.version, updatedAt: field.createdAt, content: content,
      tag: secret.tag(of: field))
  }
}
