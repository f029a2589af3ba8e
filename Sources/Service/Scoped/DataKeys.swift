internal import Ciphers
internal import KeyRing
internal import Model
package import SecretMemory
internal import Store
internal import StrictJSON

/// A data key just minted, with what its client must know.
package struct DataKeyOffer: Sendable {
  /// 32 bytes.
  package let key: SecretBytes
  package let wrapped: [UInt8]
  /// `kek_` and 26 characters.
  package let kekName: String
  package let kekVersion: UInt32
  package let id: [UInt8]
  /// Unix milliseconds.
  package let expiresAt: Int64
}

extension Service {
  /// Mints a data key for one field, which need not exist yet (scoped spec, section 5.10). Audited before it is handed out;
  /// nothing of it is stored.
  package func mintDataKey(
    _ action: ScopedAction, by caller: AgentCaller, _ origin: RequestOrigin,
    completion: @escaping @Sendable (Result<DataKeyOffer, ScopedFailure>) -> Void
  ) {
    scopedWrite(by: caller.principal, origin) { transaction in
      let change = try ScopedTransaction(service: self, store: transaction, caller: caller, origin: origin)
      let keys = try self.sealingKeys(tenant: caller.tenant, in: transaction)
      let binding = DataKeyBinding(
        tenant: caller.tenant, scope: action.scope.kind.rawValue, scopeID: action.scope.id, secretID: action.secretID,
        fieldKey: action.fieldKey)
      let time = try change.dataKeyTime()
      let minted = try keys.mintDataKey(for: binding, issuedAt: UInt64(clamping: time))
      try change.record(
        AuditEvent(
          action.name, in: action.scope, subject: action.secretID, field: action.fieldKey,
          details: change.details.with(kekVersion: keys.version).text))
      return DataKeyOffer(
        key: minted.key, wrapped: minted.wrapped.bytes, kekName: keys.name, kekVersion: keys.version, id: minted.wrapped.id,
        expiresAt: time + change.settings.dataKeyTtlSeconds * 1000)
    } completion: {
      completion($0)
    }
  }
}

extension Desk {
  /// Unwraps the data key of a stored envelope (section 5.11, whose order of checks this follows). The key may leave only
  /// once the event is in the audit chain.
  package func decryptDataKey(_ bytes: [UInt8], _ action: ScopedAction, for caller: AgentCaller, _ origin: RequestOrigin)
    throws(ScopedFailure) -> Exposure
  {
    try scoped {
      let name = KnownField.Name(action, of: caller)
      let known = try currentField(name)
      let (secret, current) = (known.secret, known.field)
      let wrapped = WrappedDataKey(bytes: bytes)
      let backed = try wrapped.flatMap { try backedVersion($0.id, known) }
      if current.sensitivity == Sensitivity.encrypted.rawValue { memory.remember(known, as: name) }
      guard current.sensitivity == Sensitivity.encrypted.rawValue || backed != nil else { throw ScopedFailure(code: .fieldNotEncrypted) }
      guard let wrapped else { throw refused(.invalidDataKey, action, origin, "format") }
      guard let key = try unwrap(wrapped, action, caller) else { throw refused(.invalidDataKey, action, origin, "does not open") }
      guard let backed else { throw refused(.dataKeyUnbound, action, origin, "backs no kept version") }
      alert(secret, action, caller, origin)
      let event = AuditEvent(
        action.name, in: action.scope, subject: action.secretID, field: action.fieldKey, revision: secret.revision,
        details: AuditDetails(origin).with(fieldVersion: backed).with(kekVersion: wrapped.kekVersion).text)
      return Exposure(value: key, event: event)
    }
  }

  /// The version of this very field that the key backs, when it is the current one or still retained.
  private func backedVersion(_ id: [UInt8], _ known: KnownField) throws -> UInt64? {
    let (secret, current) = (known.secret, known.field)
    guard let row = try dataKey(id, known) else { return nil }
    guard row.incarnation == secret.incarnation, row.fieldKey == current.fieldKey else { return nil }
    if row.fieldVersion == current.version { return current.dataKeyID == id ? row.fieldVersion : nil }
    return try service.retained(row.fieldVersion, of: current, in: reader)?.dataKeyID == id ? row.fieldVersion : nil
  }

  /// The registry row of a key, checked, here or before.
  private func dataKey(_ id: [UInt8], _ known: KnownField) throws -> DataKeyRow? {
    if let (row, contents) = known.dataKey, row.id == id, let contents, contents == reader.contents { return row }
    guard let row = try reader.dataKey(tenant: known.field.tenant, id: id) else { return nil }
    let checked = try known.dataKey.map { $0.row == row } == true ? row : service.verified(row, in: reader)
    known.dataKey = (checked, reader.contents)
    return checked
  }

  private func unwrap(_ wrapped: WrappedDataKey, _ action: ScopedAction, _ caller: AgentCaller) throws(ScopedFailure) -> SecretBytes? {
    let binding = DataKeyBinding(
      tenant: caller.tenant, scope: action.scope.kind.rawValue, scopeID: action.scope.id, secretID: action.secretID,
      fieldKey: action.fieldKey)
    let keys = try scoped { try service.vault.keys(named: wrapped.kekVersion, tenant: caller.tenant, in: reader) }
    return try? keys?.unwrap(wrapped, boundTo: binding)
  }

  private func refused(_ code: ErrorCode, _ action: ScopedAction, _ origin: RequestOrigin, _ reason: StaticString) -> ScopedFailure {
    let attempt = ScopedAction(
      "data_key.refused", needs: action.capability, on: action.scope, secret: action.secretID, field: action.fieldKey)
    return ScopedFailure(Refusal(code), denial: attempt.denial(code, origin, reason: reason))
  }
}
