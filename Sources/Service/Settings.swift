internal import KeyRing
internal import Model
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
    if let known, let contents = reader.contents, known.contents == contents {
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
      if let contents = reader.contents {
        known.contents = contents
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
    if let row, let contents = reader.contents {
      let made = SnapshotMemory.View(
        incarnation: row.incarnation, version: row.version, body: body, madeAt: service.now(), contents: contents)
      memory.remember(made, as: name)
    }
    return SettingsView(body: .open(body), version: row?.version ?? 0)
  }
}

extension Service {
  static let settingsCollection = "settings"
  static let settingsName = "current"

  func settingsRow(tenant: String, in store: any StoreReading) throws(ServiceError) -> DocumentRow? {
    do { return try store.document(tenant: tenant, collection: Self.settingsCollection, name: Self.settingsName) } catch {
      throw ServiceError(error)
    }
  }

  /// The stored settings, or the defaults of this moment when nothing was stored. Never defaults for what cannot be read (D7).
  func settings(of row: DocumentRow?, tenant: String, in store: any StoreReading) throws(ServiceError) -> RenderedSettings {
    guard let row else { return SettingsDocument.defaults(now: time).rendered() }
    return try decoded(try vault.keys(tenant: tenant, version: row.kekVersion, in: store).open(row))
  }

  func decoded(_ body: SecretBytes) throws(ServiceError) -> RenderedSettings {
    do {
      return try body.withBytes { bytes throws(RenderedSettings.Malformed) in try RenderedSettings(encoded: bytes) }
    } catch { throw .unreadable }
  }

  func token(for text: JSONString) throws(ServiceError) -> [UInt8] {
    do { return try wire.seal(text.utf8, unixSeconds: UInt64(max(0, now() / 1000))) } catch { throw .internalFailure }
  }
}
