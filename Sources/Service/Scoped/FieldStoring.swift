internal import Ciphers
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Store

/// What storing some content in a field would be.
enum FieldComparison {
  /// The field holds just that already.
  case same
  case different
}

extension ScopedTransaction {
  /// Judges new content against the stored field: the wrapped key must open for this very field and must not have sealed
  /// anything else (scoped spec, section 6.5, amendment 1).
  ///
  /// - Parameter secret: nil while it does not exist yet.
  func compare(_ content: FieldContent, _ action: ScopedAction, with current: FieldRow?, of secret: ScopedSecretRow?) throws
    -> FieldComparison
  {
    switch content {
    case .value(let value):
      guard settings.plaintextPolicy == .allow else {
        throw ScopedFailure(Refusal(.plaintextDenied), denial: action.denial(.plaintextDenied, origin))
      }
      guard let secret, let current, current.state == .current, current.sensitivity == Sensitivity.plaintext.rawValue,
        case .value(let stored) = try service.content(of: current, of: secret, in: store)
      else { return .different }
      return stored == value ? .same : .different
    case .envelope(let envelope): return try compare(envelope, action, with: current, of: secret)
    }
  }

  private func compare(_ envelope: EnvelopeV1, _ action: ScopedAction, with current: FieldRow?, of secret: ScopedSecretRow?) throws
    -> FieldComparison
  {
    guard let wrapped = WrappedDataKey(bytes: envelope.dataKeyCiphertext) else { throw refused(.invalidDataKey, action, "format") }
    let binding = DataKeyBinding(
      tenant: caller.tenant, scope: action.scope.kind.rawValue, scopeID: action.scope.id, secretID: action.secretID,
      fieldKey: action.fieldKey)
    guard let keys = try service.vault.keys(named: wrapped.kekVersion, tenant: caller.tenant, in: store),
      (try? keys.unwrap(wrapped, boundTo: binding)) != nil
    else { throw refused(.invalidDataKey, action, "does not open") }
    guard let row = try store.dataKey(tenant: caller.tenant, id: wrapped.id) else {
      if wrapped.isExpired(after: settings.dataKeyTtlSeconds, at: try dataKeyTime()) { throw refused(.dataKeyExpired, action, "expired") }
      return .different
    }
    let used = try service.verified(row, in: store)
    guard let secret, let current, current.state == .current, used.incarnation == secret.incarnation,
      used.fieldKey == current.fieldKey, used.fieldVersion == current.version, used.digest == envelope.digest
    else { throw refused(.dataKeyReused, action, "used before") }
    return .same
  }

  private func refused(_ code: ErrorCode, _ action: ScopedAction, _ reason: StaticString) -> ScopedFailure {
    let attempt = ScopedAction(
      "data_key.refused", needs: action.capability, on: action.scope, secret: action.secretID, field: action.fieldKey)
    return ScopedFailure(Refusal(code), denial: attempt.denial(code, origin, reason: reason))
  }

  /// Now, for the age of data keys: not behind the newest audit entry, by up to 24 h. A clock set back revives nothing; one
  /// that was once wrong by years expires nothing for good.
  func dataKeyTime() throws -> Int64 {
    let newest = try store.auditHead(tenant: caller.tenant).flatMap { UTCTime($0.at) }.map { $0.unixMicroseconds / 1000 } ?? 0
    return max(now, min(newest, now + 86_400_000))
  }

  /// Stores the next version of a field; the one before stays as long as the tenant retains versions.
  func store(_ content: FieldContent, in key: String, after current: FieldRow?, of secret: ScopedSecretRow) throws -> FieldRow {
    let version = try retire(current, of: secret) + 1
    let keys = try service.sealingKeys(tenant: caller.tenant, in: store)
    var row = FieldRow(
      tenant: caller.tenant, incarnation: secret.incarnation, fieldKey: key, version: version, state: .current,
      sensitivity: content.sensitivity.rawValue, dataKeyID: [], kekVersion: keys.version, createdAt: now, createdBy: caller.agentID,
      purgeAfter: nil, mac: [], sealed: [])
    let content = try service.rewrapped(content, in: key, of: secret, under: keys, in: store)
    row.sealed = try content.stored.withBytes { bytes throws(CipherError) in
      try keys.seal(bytes, at: .field(key, of: secret, version: version))
    }
    if case .envelope(let envelope) = content { row.dataKeyID = try bind(envelope, to: row, keys) }
    try put(row)
    return row
  }

  /// The registry row of an envelope's data key: new, or on to its newest version after a rollback.
  private func bind(_ envelope: EnvelopeV1, to field: FieldRow, _ keys: TenantKeys) throws -> [UInt8] {
    guard let wrapped = WrappedDataKey(bytes: envelope.dataKeyCiphertext) else { throw ServiceError.unreadable }
    let known = try store.dataKey(tenant: field.tenant, id: wrapped.id).map { try service.verified($0, in: store) }
    var row = DataKeyRow(
      tenant: field.tenant, id: wrapped.id, incarnation: field.incarnation, fieldKey: field.fieldKey, fieldVersion: field.version,
      digest: envelope.digest, kekVersion: keys.version, boundAt: known?.boundAt ?? now, mac: [])
    row.mac = try keys.mac(of: row)
    if known == nil { try store.insert(row) } else { try store.update(row) }
    return wrapped.id
  }

  /// How many destroyed versions a field keeps as mere facts, at least.
  private static let remembered: UInt64 = 50
  /// How many versions pass between two times that facts are dropped.
  private static let forgetfulness: UInt64 = 16

  /// Puts the newest version among the earlier ones and destroys what is no longer retained; its number, 0 for none.
  private func retire(_ current: FieldRow?, of secret: ScopedSecretRow) throws -> UInt64 {
    guard var row = current else { return 0 }
    // A removed field whose window is over has nothing left to read.
    let isOver = row.state == .removed && (row.purgeAfter ?? 0) <= now
    row.state = isOver ? .destroyed : .retained
    if isOver { row.sealed = [] }
    row.purgeAfter = nil
    try put(row)
    let retained = UInt64(settings.retainVersions)
    var version = row.version
    guard version >= retained else { return row.version }
    // From the newest that must go down to the first that went before.
    version -= retained
    while var old = try service.retained(version, of: row, in: store) {
      old.state = .destroyed
      old.sealed = []
      try put(old)
      version -= 1
    }
    try forgetDestroyed(before: row, retained: retained)
    return row.version
  }

  /// Drops the oldest facts of destroyed versions, many at a time: they lie apart from what else a change touches.
  private func forgetDestroyed(before row: FieldRow, retained: UInt64) throws {
    guard row.version % Self.forgetfulness == 0, row.version > retained + Self.remembered else { return }
    var version = row.version - retained - Self.remembered
    while version > 0,
      try store.deleteFieldVersion(tenant: row.tenant, incarnation: row.incarnation, key: row.fieldKey, version: version)
    { version -= 1 }
  }

  /// Takes a field out of sight; its versions stay for the deletion window.
  func remove(_ field: FieldRow) throws {
    var row = field
    row.state = .removed
    row.purgeAfter = now + settings.deletionWindowDays * 86_400_000
    try put(row)
  }

  /// Destroys what is left of removed fields whose deletion window is over; the rows stay, so that no version comes twice.
  func destroyRemoved(of secret: ScopedSecretRow) throws {
    for field in try fields(of: secret, withValues: false) where field.state == .removed {
      guard let end = field.purgeAfter, end <= now else { continue }
      for earlier in try store.fieldVersions(tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, limit: 1000) {
        _ = try store.deleteFieldVersion(
          tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, version: earlier.version)
      }
      var row = field
      row.purgeAfter = nil
      try put(row)
    }
  }

  /// The newest versions of a secret's fields, checked.
  func fields(of secret: ScopedSecretRow, withValues: Bool) throws -> [FieldRow] {
    try store.fields(tenant: secret.place.tenant, incarnation: secret.incarnation, withValues: withValues)
      .map { try service.verified($0, in: store) }
  }
}
