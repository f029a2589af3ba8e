internal import Model
internal import Store

/// One version of a field, as lists show it.
package struct FieldVersion: Sendable {
  package enum State: String, Sendable {
    case current, retained
    /// Only its history tells of it.
    case destroyed
  }
  package let number: UInt64
  package let sensitivity: String
  /// Unix milliseconds.
  package let createdAt: Int64
  package let createdBy: String
  package let state: State
}

extension Desk {
  /// How many destroyed versions are shown, and how many entries of a history are read for them.
  private static let (shown, read) = (50, 2_000)

  /// The versions of a field, newest first: those that can be read, and the newest of those that are destroyed.
  package func versions(_ action: ScopedAction, for caller: AgentCaller) throws(ScopedFailure) -> [FieldVersion] {
    readsEntries()
    return try scoped {
      guard let (secret, found) = try reader.scopedField(caller.place(action.scope), secret: action.secretID, key: action.fieldKey) else {
        throw ScopedFailure(code: .secretNotFound)
      }
      let row = try service.verified(secret, in: reader)
      guard let field = try service.newest(found, action.fieldKey, of: row, in: reader), field.state == .live else {
        throw ScopedFailure(code: .fieldNotFound)
      }
      let stored = try reader.fieldVersions(tenant: caller.tenant, incarnation: row.incarnation, key: field.fieldKey, limit: 200)
      let kept = try stored.map { FieldVersion(try service.verified($0, in: reader), newest: field.version) }
      return kept + (try destroyed(field.fieldKey, before: kept.last?.number ?? field.version, of: row))
    }
  }

  /// What the audit chain tells of this life of a secret, as a history does: verification proves it, not a reading.
  private func destroyed(_ key: String, before version: UInt64, of secret: ScopedSecretRow) throws -> [FieldVersion] {
    guard version > 1 else { return [] }
    var (versions, looked): ([FieldVersion], Int) = ([], 0)
    try walk(secret.place, secret.secretID, before: .max, page: 200) { row in
      looked += 1
      if row.action == "secret.created" || row.action == "secret.restored" { return false }
      if let made = FieldVersion(of: key, destroyed: row), made.number < versions.last?.number ?? version { versions.append(made) }
      return versions.count < Self.shown && looked < Self.read
    }
    return versions
  }
}

extension FieldVersion {
  fileprivate init(_ row: FieldRow, newest: UInt64) {
    number = row.version
    sensitivity = row.sensitivity
    createdAt = row.createdAt
    createdBy = row.createdBy
    state = row.version == newest ? .current : .retained
  }

  /// The version that an entry made; nil for an entry of another kind, or of a program that did not say as much.
  fileprivate init?(of key: String, destroyed row: AuditRow) {
    guard row.action == "field.set" || row.action == "field.rolled_back", row.outcome == AuditEvent.Outcome.allowed.rawValue,
      row.fieldKey == key, let version = AuditDetails.fieldVersion(in: row.details), let sensitivity = version.sensitivity,
      let time = UTCTime(row.at)
    else { return nil }
    number = version.number
    self.sensitivity = sensitivity
    createdAt = time.unixMicroseconds / 1000
    createdBy = row.actorID
    state = .destroyed
  }
}
