package import Model
internal import SecretMemory
internal import Store
package import StrictJSON

/// What a list tells of a profile.
package struct ProfileSummary: Sendable {
  package let name: String
  package let profile: LLMProfile
  /// It names a connection that does not exist.
  package let isBroken: Bool
  /// A key of its own or of its connection.
  package let hasKey: Bool
}

/// A profile as one caller may see it.
package struct ProfileView: Sendable {
  package let body: SettingsView.Body
  package let hasKey: Bool
}

extension Desk {
  /// Every profile by name, and the name of the active one.
  package func profiles(for principal: Principal) throws(ServiceError) -> (profiles: [ProfileSummary], active: JSONValue) {
    try principal.demand(.readRedacted)
    let connections = try service.connections(tenant: principal.tenant, in: reader)
    let profiles = try service.profiles(tenant: principal.tenant, in: reader).map { name, profile in
      let connection = connections.first { $0.id == profile.connection }
      return ProfileSummary(
        name: name, profile: profile, isBroken: !profile.connectionID.isNull && connection == nil,
        hasKey: profile.hasKey || connection?.apiKey != nil)
    }
    let row = try service.settingsRow(tenant: principal.tenant, in: reader)
    return (profiles, try service.document(of: row, tenant: principal.tenant, in: reader).activeProfile)
  }

  /// One profile's configuration as it is stored: a linked connection is not merged into it.
  package func profile(_ name: String, _ mode: ExposureMode, for principal: Principal) throws(ServiceError) -> ProfileView {
    switch mode {
    case .redacted: try principal.demand(.readRedacted)
    case .encrypted: try principal.demand(.readEncrypted)
    case .plaintext: try principal.demand(.readPlaintext)
    }
    let profile = try service.storedProfile(name, tenant: principal.tenant, in: reader)
    let connection = try profile.connection.map { id throws(ServiceError) in
      try service.connection(id, tenant: principal.tenant, in: reader)
    }
    let hasKey = profile.hasKey || connection??.apiKey != nil
    switch mode {
    case .redacted: return ProfileView(body: .open(profile.redacted()), hasKey: hasKey)
    case .encrypted:
      let body = try profile.rendered().encrypted { text throws(ServiceError) in try service.token(for: text) }
      return ProfileView(body: .open(body), hasKey: hasKey)
    case .plaintext:
      let event = AuditEvent("profile.read_plaintext", subject: name)
      let value = SecretBytes(copying: profile.rendered().plaintext())
      return ProfileView(body: .exposed(Exposure(value: value, event: event)), hasKey: hasKey)
    }
  }
}

extension Service {
  static let profileCollection = "profiles"
  /// More than this many are refused.
  package static let profileLimit = 50

  func profiles(tenant: String, in reading: any StoreReading) throws(ServiceError) -> [(name: String, profile: LLMProfile)] {
    try documents(Self.profileCollection, tenant: tenant, in: reading).map { row, body throws(ServiceError) in
      (row.name, try profile(body))
    }
  }

  func storedProfile(_ name: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> LLMProfile {
    guard let row = try documentRow(Self.profileCollection, name, tenant: tenant, in: reading) else { throw .absent(.profile, name) }
    return try profile(try open(row, in: reading))
  }

  /// The whole model of a profile with its connection's key and address.
  func loadedProfile(_ name: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> JSONObject {
    let profile = try storedProfile(name, tenant: tenant, in: reading)
    guard let id = profile.connection else { return profile.llm }
    guard let connection = try connection(id, tenant: tenant, in: reading) else { throw .danglingConnection(profile: name, connection: id) }
    return profile.resolved(with: connection)
  }

  private func profile(_ body: SecretBytes) throws(ServiceError) -> LLMProfile {
    do { return try LLMProfile(try decoded(body)) } catch { throw .unreadable }
  }

  // MARK: - Changes

  /// Saves a profile, new or over an old one, durable and audited before `completion` is called.
  package func saveProfile(
    _ name: String, _ body: JSONValue, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let row = try self.documentRow(Self.profileCollection, name, tenant: tenant, in: transaction)
        let stored = try row.map { try self.profile(try self.open($0, in: transaction)) }
        let profile: LLMProfile
        do throws(LLMProfile.Failure) {
          profile = try LLMProfile(saving: body, over: stored, opening: { self.opened($0) })
        } catch {
          switch error {
          case .body(let error): throw ServiceError.invalidBody(error.issues)
          case .settings(let error): throw ServiceError(error)
          }
        }
        if row == nil {
          let known = try transaction.documents(
            tenant: tenant, collection: Self.profileCollection, after: "", limit: Self.profileLimit)
          guard known.count < Self.profileLimit else { throw ServiceError.limitReached(.profile, Self.profileLimit) }
        }
        let changed = try self.put(profile, name, after: row, tenant: tenant, in: transaction)
        let event = AuditEvent(
          row == nil ? "profile.create" : "profile.update", subject: name, revision: changed.version, rows: [RowChange(changed)])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Deletes a profile; one that is not there is no error. The active profile's name is cleared when it was this one.
  package func deleteProfile(
    _ name: String, for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let users = try self.agentProfiles(naming: name, tenant: tenant, in: transaction)
        guard users.isEmpty else { throw ServiceError.referenced(.profile, by: users) }
        guard try transaction.deleteDocument(tenant: tenant, collection: Self.profileCollection, name: name) else { return }
        let settings = try self.followInSettings(tenant: tenant, in: transaction) { document in
          document.activeProfile.string?.text == name ? document.withActiveProfile(nil) : nil
        }
        let rows = [RowChange(deleted: RowChange.document(Self.profileCollection, name))] + settings
        try self.record(AuditEvent("profile.delete", subject: name, rows: rows), by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Renames a profile; the active profile's name and agent profiles follow. True when the name is another one.
  package func renameProfile(
    _ name: String, to newName: String, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let profile = try self.storedProfile(name, tenant: tenant, in: transaction)
        if newName == name { return false }
        guard try self.documentRow(Self.profileCollection, newName, tenant: tenant, in: transaction) == nil else {
          throw ServiceError.taken(.profile, newName)
        }
        // Sealed anew: the name is part of what a sealed document is bound to.
        let renamed = try self.put(profile, newName, after: nil, tenant: tenant, in: transaction)
        _ = try transaction.deleteDocument(tenant: tenant, collection: Self.profileCollection, name: name)
        var rows = [RowChange(renamed), RowChange(deleted: RowChange.document(Self.profileCollection, name))]
        rows += try self.followInSettings(tenant: tenant, in: transaction) { document in
          document.activeProfile.string?.text == name ? document.withActiveProfile(newName) : nil
        }
        rows += try self.followRename(of: name, to: newName, tenant: tenant, in: transaction)
        let event = AuditEvent("profile.rename", subject: newName, details: "{\"from\":\"\(name)\"}", rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return true
      }, completion: completion)
  }

  /// Makes a profile's model the one of the settings, of either kind.
  package func activateProfile(
    _ name: String, for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let llm = try self.loadedProfile(name, tenant: principal.tenant, in: transaction)
        let rows = try self.followInSettings(tenant: principal.tenant, in: transaction) { $0.activating(llm, of: name) }
        try self.record(AuditEvent("profile.activate", subject: name, rows: rows), by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Puts a profile of an import in the place of one with the same name.
  func importProfile(_ profile: LLMProfile, _ name: String, tenant: String, in transaction: any StoreTransaction) throws(ServiceError)
    -> DocumentRow
  {
    let stored = try documentRow(Self.profileCollection, name, tenant: tenant, in: transaction)
    return try put(profile, name, after: stored, tenant: tenant, in: transaction)
  }

  func put(_ profile: LLMProfile, _ name: String, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError) -> DocumentRow
  {
    let row = try sealed(
      profile.rendered().encoded(), collection: Self.profileCollection, name: name, after: stored, tenant: tenant, in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }
}
