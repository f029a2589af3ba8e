internal import KeyRing
package import Model
internal import SecretMemory
internal import Store
internal import StrictJSON

/// How secrets appear in an answer (spec section 3).
package enum ExposureMode: String, Sendable, CaseIterable { case redacted, encrypted, plaintext }

/// The settings as one caller may see them.
package struct SettingsView: Sendable {
  package enum Body: Sendable {
    /// Redacted or encrypted.
    case open([UInt8])
    /// Plaintext: may leave only after the event was recorded.
    case exposed(Exposure)
  }
  package let body: Body
  /// 0 while nothing was stored.
  package let version: UInt64
}

extension Desk {
  package func settings(_ mode: ExposureMode, for principal: Principal) throws(ServiceError) -> SettingsView {
    switch mode {
    case .redacted: try principal.demand(.readRedacted)
    case .encrypted: try principal.demand(.readEncrypted)
    case .plaintext: try principal.demand(.readPlaintext)
    }
    guard mode != .plaintext else { return try plaintextSettings(tenant: principal.tenant) }
    let name = SnapshotMemory.View.Name(tenant: principal.tenant, mode: mode)
    let known = memory.view(name, now: service.now())
    if let known, let snapshot = reader.snapshot, known.snapshot == snapshot {
      return SettingsView(body: .open(known.body), version: known.version)
    }
    return try settings(name, known: known)
  }

  private func plaintextSettings(tenant: String) throws(ServiceError) -> SettingsView {
    let row = try service.settingsRow(tenant: tenant, in: reader)
    let rendered = try service.settings(of: row, tenant: tenant, in: reader)
    let version = row?.version ?? 0
    let event = AuditEvent("settings.read_plaintext", subject: "settings", revision: version)
    return SettingsView(body: .exposed(Exposure(value: SecretBytes(copying: rendered.plaintext()), event: event)), version: version)
  }

  /// Redacted or encrypted, from what is known when the stored version is still that one.
  private func settings(_ name: SnapshotMemory.View.Name, known: SnapshotMemory.View?) throws(ServiceError) -> SettingsView {
    let row = try service.settingsRow(tenant: name.tenant, in: reader)
    if let row, var known, known.incarnation == row.incarnation, known.version == row.version {
      if let snapshot = reader.snapshot {
        known.snapshot = snapshot
        memory.remember(known, as: name)
      }
      return SettingsView(body: .open(known.body), version: known.version)
    }
    let rendered = try service.settings(of: row, tenant: name.tenant, in: reader)
    let body: [UInt8]
    if name.mode == .encrypted {
      body = try rendered.encrypted { text throws(ServiceError) in try service.token(for: text) }
    } else {
      body = rendered.redacted()
    }
    // Defaults carry the time of the request: they are not kept.
    if let row, let snapshot = reader.snapshot {
      let made = SnapshotMemory.View(
        incarnation: row.incarnation, version: row.version, body: body, madeAt: service.now(), snapshot: snapshot)
      memory.remember(made, as: name)
    }
    return SettingsView(body: .open(body), version: row?.version ?? 0)
  }
}

extension Service {
  private static let collection = "settings"
  private static let document = "current"

  fileprivate func settingsRow(tenant: String, in store: any StoreReading) throws(ServiceError) -> DocumentRow? {
    do { return try store.document(tenant: tenant, collection: Self.collection, name: Self.document) } catch { throw ServiceError(error) }
  }

  /// The stored settings, or the defaults of this moment when nothing was stored. Never defaults for what cannot be read (D7).
  fileprivate func settings(of row: DocumentRow?, tenant: String, in store: any StoreReading) throws(ServiceError) -> RenderedSettings {
    guard let row else { return SettingsDocument.defaults(now: time).rendered() }
    return try decoded(try vault.keys(tenant: tenant, version: row.kekVersion, in: store).open(row))
  }

  private func decoded(_ body: SecretBytes) throws(ServiceError) -> RenderedSettings {
    do {
      return try body.withBytes { bytes throws(RenderedSettings.Malformed) in try RenderedSettings(encoded: bytes) }
    } catch { throw .unreadable }
  }

  fileprivate func token(for text: JSONString) throws(ServiceError) -> [UInt8] {
    do { return try wire.seal(text.utf8, unixSeconds: UInt64(max(0, now() / 1000))) } catch { throw .internalFailure }
  }

  /// Merges `patch`, durable and audited before `completion` is called with the redacted document.
  package func patchSettings(
    _ patch: SettingsPatch, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<SettingsView, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let stored = try transaction.document(tenant: tenant, collection: Self.collection, name: Self.document)
        try self.check(ifMatch, version: stored?.version ?? 0)
        if let name = patch.activeProfileName { throw ServiceError.profileNotFound(name) }
        let rendered = try self.merged(patch, into: stored, tenant: tenant, in: transaction).rendered()
        let row = try self.sealedSettings(rendered, after: stored, tenant: tenant, in: transaction)
        try transaction.put(row)
        let event = AuditEvent("settings.update", subject: "settings", revision: row.version, details: patch.auditDetails)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return SettingsView(body: .open(rendered.redacted()), version: row.version)
      }, completion: completion)
  }

  private func merged(_ patch: SettingsPatch, into stored: DocumentRow?, tenant: String, in store: any StoreReading) throws(ServiceError)
    -> SettingsDocument
  {
    var document = SettingsDocument.defaults(now: time)
    if let stored {
      let body = try vault.keys(tenant: tenant, version: stored.kekVersion, in: store).open(stored)
      do { document = try SettingsDocument(decoded(body)) } catch { throw .unreadable }
    }
    do {
      return try document.applying(patch, opening: { self.opened($0) }, now: time)
    } catch {
      switch error {
      case .invalid: throw .invalidSettings
      case .tokensDoNotOpen(let pointers): throw .tokensDoNotOpen(pointers)
      }
    }
  }

  private func opened(_ text: JSONString) -> TokenOpening {
    guard text.utf8.starts(with: "gAAAAA".utf8) else { return .notAToken }
    guard let opened = wire.open(text.utf8) else { return .doesNotOpen }
    return .opened(opened.withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) })
  }

  private func sealedSettings(
    _ rendered: RenderedSettings, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction
  ) throws(ServiceError) -> DocumentRow {
    let keys = try sealingKeys(tenant: tenant, in: transaction)
    do {
      let incarnation = try stored?.incarnation ?? UInt64(bitPattern: transaction.nextSequence(tenant: tenant))
      let version = (stored?.version ?? 0) + 1
      let place = Place.document(tenant, Self.collection, Self.document, incarnation: incarnation, version: version)
      var encoded = rendered.encoded()
      defer { erase(&encoded) }
      let sealed = try unsafe keys.seal(encoded.span.bytes, at: place)
      let time = now()
      return DocumentRow(
        tenant: tenant, collection: Self.collection, name: Self.document, incarnation: incarnation, version: version,
        kekVersion: keys.version, sealed: sealed, createdAt: stored?.createdAt ?? time, updatedAt: time)
    } catch { throw ServiceError(error) }
  }
}
