internal import KeyRing
package import Model
internal import SecretMemory
internal import Store
package import StrictJSON

extension Service {
  /// Merges `patch`, durable and audited before `completion` is called with the redacted document.
  package func patchSettings(
    _ patch: SettingsPatch, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<SettingsView, ServiceError>) -> Void
  ) {
    let event = AuditEvent("settings.update", subject: "settings", details: patch.auditDetails)
    changeSettings(event, ifMatch: ifMatch, for: principal, requestID: requestID, completion: completion) {
      (document, transaction) throws(ServiceError) in
      var patch = patch
      if let name = patch.profileToLoad {
        patch = patch.adding(llm: try self.loadedProfile(name, tenant: principal.tenant, in: transaction))
      }
      do throws(SettingsError) {
        return try document.applying(patch, opening: { self.opened($0) }, now: self.time)
      } catch { throw ServiceError(error) }
    }
  }

  /// Adds, changes or removes one MCP server, durable and audited before `completion` is called.
  package func changeMCPServer(
    _ key: JSONString, _ change: MCPChange, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<SettingsView, ServiceError>) -> Void
  ) {
    let event = AuditEvent(change.auditAction, subject: "settings")
    changeSettings(event, ifMatch: ifMatch, for: principal, requestID: requestID, completion: completion) {
      (document, _) throws(ServiceError) in
      do throws(SettingsDocument.MCPFailure) {
        return try document.changingServer(key, change, opening: { self.opened($0) })
      } catch {
        switch error {
        case .absent: throw ServiceError.absent(.mcpServer, key.text)
        case .taken: throw ServiceError.taken(.mcpServer, key.text)
        case .settings(let error): throw ServiceError(error)
        }
      }
    }
  }

  private func changeSettings(
    _ event: AuditEvent, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<SettingsView, ServiceError>) -> Void,
    _ change: @escaping @Sendable (SettingsDocument, any StoreTransaction) throws(ServiceError) -> SettingsDocument
  ) {
    write(
      { transaction in
        let stored = try transaction.document(tenant: principal.tenant, collection: Self.settingsCollection, name: Self.settingsName)
        try self.check(ifMatch, entityTag(of: stored?.version ?? 0))
        let rendered = try change(try self.document(of: stored, tenant: principal.tenant, in: transaction), transaction).rendered()
        var event = event
        let row = try self.store(rendered, after: stored, tenant: principal.tenant, in: transaction)
        event.revision = row.version
        event.rows = [RowChange(row)]
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return SettingsView(body: .open(rendered.redacted()), version: row.version)
      }, completion: completion)
  }

  /// Changes the settings as a part of something else, whose event must name the change that comes back. Nothing is written,
  /// and nothing comes back, when `change` gives nil.
  func followInSettings(
    tenant: String, in transaction: any StoreTransaction, _ change: (SettingsDocument) throws(ServiceError) -> SettingsDocument?
  ) throws(ServiceError) -> [RowChange] {
    let stored: DocumentRow?
    do {
      stored = try transaction.document(tenant: tenant, collection: Self.settingsCollection, name: Self.settingsName)
    } catch { throw ServiceError(error) }
    guard let changed = try change(try document(of: stored, tenant: tenant, in: transaction)) else { return [] }
    return [RowChange(try store(changed.rendered(), after: stored, tenant: tenant, in: transaction))]
  }

  /// The stored settings in the open, or the defaults of this moment.
  func document(of stored: DocumentRow?, tenant: String, in reading: any StoreReading) throws(ServiceError) -> SettingsDocument {
    guard let stored else { return SettingsDocument.defaults(now: time) }
    let rendered = try settings(of: stored, tenant: tenant, in: reading)
    do { return try SettingsDocument(rendered) } catch { throw .unreadable }
  }

  private func store(_ rendered: RenderedSettings, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError) -> DocumentRow
  {
    let row = try sealed(
      rendered.encoded(), collection: Self.settingsCollection, name: Self.settingsName, after: stored, tenant: tenant, in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }

  /// What a text that came in is: an opened token, a token that does not open, or itself.
  func opened(_ text: JSONString) -> TokenOpening { TokenOpening(of: text, by: [wire]) }
}

extension TokenOpening {
  /// By the first ring that has a key for it. Bytes that are no text were sealed by nobody who speaks this dialect: they do not open.
  init(of text: JSONString, by rings: [WireRing]) {
    guard text.utf8.starts(with: "gAAAAA".utf8) else {
      self = .notAToken
      return
    }
    let opened = rings.lazy.compactMap { $0.open(text.utf8) }.first
    let bytes = opened.map { $0.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } } }
    self = bytes.flatMap { UTF8Sequence.isValid($0) ? .opened(JSONString(utf8: $0)) : nil } ?? .doesNotOpen
  }
}

extension ServiceError {
  init(_ error: SettingsError) {
    switch error {
    case .invalid: self = .invalidSettings
    case .tokensDoNotOpen(let pointers): self = .tokensDoNotOpen(pointers)
    }
  }
}

extension MCPChange {
  fileprivate var auditAction: StaticString {
    switch self {
    case .add: "mcp_server.create"
    case .merge: "mcp_server.update"
    case .remove: "mcp_server.delete"
    }
  }
}
