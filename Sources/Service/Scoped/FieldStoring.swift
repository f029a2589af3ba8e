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
      guard let secret, let current, current.state == .live, current.sensitivity == Sensitivity.plaintext.rawValue,
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
    guard let secret, let current, current.state == .live, used.incarnation == secret.incarnation,
      used.fieldKey == current.fieldKey, used.fieldVersion == current.version, used.digest == envelope.digest
    else { throw refused(.dataKeyReused, action, "used before") }
    return .same
  }

  private func refused(_ code: ErrorCode, _ action: ScopedAction, _ reason: StaticString) -> ScopedFailure {
    let attempt = ScopedAction(
      "data_key.refused", needs: action.capability, on: action.scope, secret: action.secretID, field: action.fieldKey)
    return ScopedFailure(Refusal(code), denial: attempt.denial(code, origin, reason: reason))
  }

  /// Now, for the age of data keys. What this process cannot have seen, the newest audit entry may tell.
  func dataKeyTime() throws -> Int64 {
    let newest = try store.auditHead(tenant: caller.tenant).flatMap { UTCTime($0.at) }.map { $0.unixMicroseconds / 1000 } ?? 0
    return service.steadyClock.time(now: now, seen: newest)
  }

  /// Stores the next version of a field; those before it stay as long as the tenant retains versions.
  func store(_ content: FieldContent, in key: String, after current: FieldRow?, of secret: ScopedSecretRow) throws -> FieldRow {
    let version = Self.version(after: current)
    if let current { try retire(current) }
    let keys = try service.sealingKeys(tenant: caller.tenant, in: store)
    var row = FieldRow(
      tenant: caller.tenant, incarnation: secret.incarnation, fieldKey: key, version: version, state: .live,
      sensitivity: content.sensitivity.rawValue, dataKeyID: [], kekVersion: keys.version, createdAt: now, createdBy: caller.agentID,
      purgeAfter: nil, mac: [], sealed: [])
    let content = try service.rewrapped(content, in: key, of: secret, under: keys, in: store)
    row.sealed = try content.stored.withBytes { bytes throws(CipherError) in
      try keys.seal(bytes, at: .field(key, of: secret, version: version))
    }
    if case .envelope(let envelope) = content { row.dataKeyID = try bind(envelope, to: row, keys) }
    row.mac = try keys.mac(of: row)
    try store.insert(row)
    return row
  }

  static func version(after current: FieldRow?) -> UInt64 { (current?.version ?? 0) + 1 }

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

  /// Destroys the versions that are no longer retained once there is one after `current`. What is destroyed is in the audit chain
  /// alone from then on.
  private func retire(_ current: FieldRow) throws {
    var last = current.version - min(current.version, UInt64(settings.retainVersions))
    if current.state == .removed {
      if current.isOver(at: now) { last = current.version } else { try reinstate(current) }
    }
    guard last > 0 else { return }
    try store.deleteFieldVersions(tenant: current.tenant, incarnation: current.incarnation, key: current.fieldKey, through: last)
  }

  /// A removed version becomes an earlier one.
  private func reinstate(_ removed: FieldRow) throws {
    var row = removed
    row.state = .live
    row.purgeAfter = nil
    try update(row)
  }

  /// Takes a field out of sight; its versions stay for the deletion window.
  func remove(_ field: FieldRow) throws {
    var row = field
    row.state = .removed
    row.purgeAfter = now + settings.deletionWindowDays * 86_400_000
    try update(row)
  }

  /// Destroys what is left of removed fields whose deletion window is over; the rows stay, so that no version comes twice.
  func destroyRemoved(of secret: ScopedSecretRow) throws {
    for field in try fields(of: secret, withValues: false) where field.state == .removed && field.purgeAfter != nil {
      guard field.isOver(at: now) else { continue }
      try store.deleteFieldVersions(
        tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, through: field.version - 1)
      var row = field
      row.purgeAfter = nil
      try update(row)
    }
  }

  /// The newest versions of a secret's fields, checked.
  func fields(of secret: ScopedSecretRow, withValues: Bool) throws -> [FieldRow] {
    let rows = try store.fields(tenant: secret.place.tenant, incarnation: secret.incarnation, withValues: withValues)
    return try service.newest(rows, of: secret, in: store)
  }
}

extension FieldRow {
  /// Of a removed field: whether its deletion window has ended, so that nothing of it may be read.
  func isOver(at now: Int64) -> Bool { (purgeAfter ?? 0) <= now }
}
