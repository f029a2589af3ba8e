internal import Ciphers
package import Model
internal import SecretMemory
internal import Store
package import StrictJSON

/// Every agent profile by name, and the id of the active one.
package struct AgentProfileList: Sendable {
  package let profiles: [AgentProfile]
  package let active: JSONValue
}

extension Desk {
  /// nil when there is none, none is active, and the caller may have the first one made.
  package func agentProfiles(for principal: Principal) throws(ServiceError) -> AgentProfileList? {
    try principal.demand(.readRedacted)
    let list = try service.agentProfiles(tenant: principal.tenant, in: reader)
    return list.profiles.isEmpty && list.active.isNull && principal.level.allows(.write) ? nil : list
  }

  package func agentProfile(_ name: String, for principal: Principal) throws(ServiceError) -> AgentProfile {
    try principal.demand(.readRedacted)
    return try service.agentProfile(name, tenant: principal.tenant, in: reader).profile
  }

  /// What a profile comes to with what it names now; nothing is changed.
  package func materialized(_ name: String, for principal: Principal) throws(ServiceError) -> Materialization {
    try principal.demand(.readRedacted)
    return try materialization(try service.agentProfile(name, tenant: principal.tenant, in: reader).profile, tenant: principal.tenant)
  }

  func materialization(_ profile: AgentProfile, tenant: String) throws(ServiceError) -> Materialization {
    let document = try service.document(of: service.settingsRow(tenant: tenant, in: reader), tenant: tenant, in: reader)
    var model = Materialization.Model.notNamed
    if let name = profile.llmProfile {
      do throws(ServiceError) {
        model = .found(try service.loadedProfile(name, tenant: tenant, in: reader))
      } catch {
        switch error {
        case .absent: model = .missing
        case .danglingConnection(let name, let id):
          model = .unusable("Profile '\(name)' references provider connection '\(id)', which does not exist")
        default: throw error
        }
      }
    }
    return Materialization(profile, model: model, settings: document, now: service.time)
  }
}

extension Service {
  private static let agentProfileCollection = "agent-profiles"
  /// More than this many are refused.
  package static let agentProfileLimit = 50

  func agentProfiles(tenant: String, in reading: any StoreReading) throws(ServiceError) -> AgentProfileList {
    let profiles = try documents(Self.agentProfileCollection, tenant: tenant, in: reading).map { _, body throws(ServiceError) in
      try agentProfile(try body.json())
    }
    let row = try settingsRow(tenant: tenant, in: reading)
    return AgentProfileList(profiles: profiles, active: try document(of: row, tenant: tenant, in: reading).activeAgentProfile)
  }

  func agentProfile(_ name: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> (
    row: DocumentRow, profile: AgentProfile
  ) {
    guard let row = try documentRow(Self.agentProfileCollection, name, tenant: tenant, in: reading) else {
      throw .absent(.agentProfile, name)
    }
    return (row, try agentProfile(try open(row, in: reading).json()))
  }

  private func agentProfile(_ stored: JSONValue) throws(ServiceError) -> AgentProfile {
    do { return try AgentProfile(stored: stored) } catch { throw .unreadable }
  }

  // MARK: - Changes

  /// Saves a profile, new or over an old one, durable and audited before `completion` is called.
  package func saveAgentProfile(
    _ name: String, _ body: JSONValue, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let row = try self.documentRow(Self.agentProfileCollection, name, tenant: tenant, in: transaction)
        let stored = try row.map { try self.agentProfile(try self.open($0, in: transaction).json()) }
        let freshID = try self.freshUUID()
        let profile: AgentProfile
        do throws(AgentProfile.Failure) {
          profile = try AgentProfile(saving: body, name: name, over: stored, freshID: freshID)
        } catch {
          switch error {
          case .body(let error): throw ServiceError.invalidBody(error.issues)
          case .unknownVersion: throw ServiceError.invalidAgentProfile
          }
        }
        if row == nil {
          let known = try transaction.documents(
            tenant: tenant, collection: Self.agentProfileCollection, after: "", limit: Self.agentProfileLimit)
          guard known.count < Self.agentProfileLimit else { throw ServiceError.limitReached(.agentProfile, Self.agentProfileLimit) }
        }
        let changed = try self.put(profile, after: row, tenant: tenant, in: transaction)
        let action: StaticString = row == nil ? "agent_profile.create" : "agent_profile.update"
        let event = AuditEvent(action, subject: name, revision: changed.version, rows: [RowChange(changed)])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Deletes a profile; one that is not there is no error. The pointer is cleared when it named this one.
  package func deleteAgentProfile(
    _ name: String, for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        guard let row = try self.documentRow(Self.agentProfileCollection, name, tenant: tenant, in: transaction) else { return }
        let id = try self.agentProfile(try self.open(row, in: transaction).json()).id
        _ = try transaction.deleteDocument(tenant: tenant, collection: Self.agentProfileCollection, name: name)
        let settings = try self.followInSettings(tenant: tenant, in: transaction) { document in
          document.activeAgentProfile.string?.text == id ? document.withActiveAgentProfile(nil) : nil
        }
        let rows = [RowChange(deleted: RowChange.document(Self.agentProfileCollection, name))] + settings
        let event = AuditEvent("agent_profile.delete", subject: name, rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Renames a profile; its id and so the pointer stay. True when the name is another one.
  package func renameAgentProfile(
    _ name: String, to newName: String, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        let profile = try self.agentProfile(name, tenant: tenant, in: transaction).profile
        if newName == name { return false }
        guard try self.documentRow(Self.agentProfileCollection, newName, tenant: tenant, in: transaction) == nil else {
          throw ServiceError.taken(.agentProfile, newName)
        }
        let renamed = try self.put(profile.renamed(newName), after: nil, tenant: tenant, in: transaction)
        _ = try transaction.deleteDocument(tenant: tenant, collection: Self.agentProfileCollection, name: name)
        let rows = [RowChange(renamed), RowChange(deleted: RowChange.document(Self.agentProfileCollection, name))]
        let event = AuditEvent("agent_profile.rename", subject: newName, details: "{\"from\":\"\(name)\"}", rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return true
      }, completion: completion)
  }

  /// Points the settings at a profile, by its id; nothing else of them changes.
  package func activateAgentProfile(
    _ id: String, for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let list = try self.agentProfiles(tenant: principal.tenant, in: transaction)
        guard list.profiles.contains(where: { $0.id == id }) else { throw ServiceError.absent(.agentProfileID, id) }
        let rows = try self.followInSettings(tenant: principal.tenant, in: transaction) { $0.withActiveAgentProfile(id) }
        let event = AuditEvent("agent_profile.activate", subject: id, rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Makes the first profile of the current settings and activates it, with an LLM profile beside it when the settings hold a
  /// key that no profile has. Gives back the list as it is then.
  package func seedAgentProfile(
    for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<AgentProfileList, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        // Another request may have made it meanwhile.
        let found = try self.agentProfiles(tenant: tenant, in: transaction)
        guard found.profiles.isEmpty, found.active.isNull else { return found }
        let row = try self.settingsRow(tenant: tenant, in: transaction)
        let document = try self.document(of: row, tenant: tenant, in: transaction)
        let llmProfile = document.activeProfile.string?.text ?? "default"
        let profile = AgentProfile(seed: document, llmProfile: llmProfile, id: try self.freshUUID())
        var rows = try self.seedLLMProfile(llmProfile, of: document, tenant: tenant, in: transaction)
        rows.append(RowChange(try self.put(profile, after: nil, tenant: tenant, in: transaction)))
        rows += try self.followInSettings(tenant: tenant, in: transaction) { $0.withActiveAgentProfile(profile.id) }
        let event = AuditEvent("agent_profile.create", subject: profile.name, revision: 1, details: "{\"seed\":true}", rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return try self.agentProfiles(tenant: tenant, in: transaction)
      }, completion: completion)
  }

  private func seedLLMProfile(_ name: String, of document: SettingsDocument, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError) -> [RowChange]
  {
    guard let llm = document.llmProfile, llm.hasKey, document.kind == "openhands",
      try documentRow(Self.profileCollection, name, tenant: tenant, in: transaction) == nil
    else { return [] }
    return [RowChange(try put(llm, name, after: nil, tenant: tenant, in: transaction))]
  }

  /// Names of the agent profiles that name an LLM profile.
  func agentProfiles(naming llmProfile: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> [String] {
    try agentProfiles(tenant: tenant, in: reading).profiles.filter { $0.llmProfile == llmProfile }.map(\.name)
  }

  /// Has every agent profile that named `old` name `new`.
  func followRename(of old: String, to new: String, tenant: String, in transaction: any StoreTransaction) throws(ServiceError)
    -> [RowChange]
  {
    try agentProfiles(naming: old, tenant: tenant, in: transaction).map { name throws(ServiceError) in
      let (row, profile) = try agentProfile(name, tenant: tenant, in: transaction)
      return RowChange(try put(profile.referring(to: new), after: row, tenant: tenant, in: transaction))
    }
  }

  /// Puts a profile of an import in the place of one with the same name.
  func importAgentProfile(_ profile: AgentProfile, tenant: String, in transaction: any StoreTransaction) throws(ServiceError)
    -> DocumentRow
  {
    let stored = try documentRow(Self.agentProfileCollection, profile.name, tenant: tenant, in: transaction)
    return try put(profile, after: stored, tenant: tenant, in: transaction)
  }

  private func put(_ profile: AgentProfile, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError) -> DocumentRow
  {
    let row = try sealed(
      profile.json.serialized(), collection: Self.agentProfileCollection, name: profile.name, after: stored, tenant: tenant,
      in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }

  func freshUUID() throws(ServiceError) -> String {
    do { return UUIDText.random(try RandomBytes.generate(count: 16)) } catch { throw .internalFailure }
  }
}
