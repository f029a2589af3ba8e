internal import KeyRing
internal import Model
package import SecretMemory
internal import Store
package import StrictJSON

/// What an import did, or would do. Names and places, never a value.
package struct ImportReport: Sendable {
  package var settings = false
  package var secrets: [String] = []
  /// Names without a value in the folder: kept with an empty one.
  package var emptySecrets: [String] = []
  package var profiles: [String] = []
  package var agentProfiles: [String] = []
  package var connections = 0
  package var workspaces = false
  /// Tokens that no key opens. Unless they were to be skipped, nothing was imported.
  package var unopened: [String] = []
  package var unreadable: [String] = []
  package var isDone = false
}

extension Service {
  /// Imports an OpenHands folder into a tenant: everything or nothing, in one transaction.
  ///
  /// - Parameters:
  ///   - keys: secret texts that may have sealed the folder's tokens; our own wire keys are tried too.
  ///   - skipsUnopened: leaves out what does not open instead of stopping.
  ///   - isDryRun: says what would be done.
  package func importOpenHands(
    _ bundle: JSONObject, keys: [SecretBytes], skipsUnopened: Bool, isDryRun: Bool, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<ImportReport, ServiceError>) -> Void
  ) {
    let rings = keys.map { WireRing(primary: $0) } + [wire]
    @Sendable func opening(_ text: JSONString) -> TokenOpening { TokenOpening(of: text, by: rings) }
    let first = OpenHandsFolder(bundle, opening: opening, now: time)
    let folder =
      first.unopened.isEmpty || !skipsUnopened
      ? first
      : OpenHandsFolder(
        bundle,
        opening: { text in
          if case .doesNotOpen = opening(text) { .opened("") } else { opening(text) }
        }, now: time)
    var report = ImportReport(folder)
    report.unopened = first.unopened
    guard !isDryRun, report.unreadable.isEmpty, first.unopened.isEmpty || skipsUnopened else { return completion(.success(report)) }
    report.isDone = true
    let done = report
    write(
      { transaction in
        for event in try self.store(folder, for: principal, in: transaction) {
          try self.record(event, by: principal, requestID: requestID, in: transaction)
        }
        let details =
          "{\"agentProfiles\":\(done.agentProfiles.count),\"connections\":\(done.connections),\"profiles\":\(done.profiles.count),\"secrets\":\(done.secrets.count),\"settings\":\(done.settings)}"
        try self.record(AuditEvent("import.openhands", details: details), by: principal, requestID: requestID, in: transaction)
        return done
      }, completion: completion)
  }

  /// What was changed, one event for each thing: a folder may hold thousands, and each is to be found by its own entry.
  private func store(_ folder: OpenHandsFolder, for principal: Principal, in transaction: any StoreTransaction) throws -> [AuditEvent] {
    let tenant = principal.tenant
    func event(_ action: StaticString, _ subject: String, _ row: RowChange) -> AuditEvent {
      AuditEvent(action, subject: subject, revision: row.state?.version, rows: [row])
    }
    var events: [AuditEvent] = []
    if let settings = folder.settings {
      events += try followInSettings(tenant: tenant, in: transaction) { _ in settings }.map { event("settings.import", "settings", $0) }
    }
    for secret in folder.secrets {
      let change = SecretChange(
        name: secret.name, value: SecretBytes(copying: secret.value.utf8), description: .set(secret.description?.text))
      let row = try updated(try transaction.secret(tenant: tenant, name: secret.name.text), by: change, tenant: tenant, in: transaction)
      try transaction.put(row)
      events.append(event("secret.import", row.name, RowChange(row)))
    }
    for connection in folder.connections {
      let row = try importConnection(connection, tenant: tenant, in: transaction)
      events.append(event("provider_connection.import", row.name, RowChange(row)))
    }
    for (name, profile) in folder.profiles {
      events.append(event("profile.import", name, RowChange(try importProfile(profile, name, tenant: tenant, in: transaction))))
    }
    for profile in folder.agentProfiles {
      let row = try importAgentProfile(profile, tenant: tenant, in: transaction)
      events.append(event("agent_profile.import", row.name, RowChange(row)))
    }
    if let lists = folder.workspaces {
      events.append(event("workspaces.import", "workspaces", RowChange(try importWorkspaces(lists, tenant: tenant, in: transaction))))
    }
    return events
  }
}

extension ImportReport {
  fileprivate init(_ folder: OpenHandsFolder) {
    settings = folder.settings != nil
    secrets = folder.secrets.map(\.name.text)
    emptySecrets = folder.secrets.filter(\.isEmpty).map(\.name.text)
    profiles = folder.profiles.map(\.name)
    agentProfiles = folder.agentProfiles.map(\.name)
    connections = folder.connections.count
    workspaces = folder.workspaces != nil
    unreadable = folder.unreadable
  }
}
