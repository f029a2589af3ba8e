package import KeyRing
internal import Model
internal import SecretMemory
internal import Store
package import StrictJSON

/// An agent server's folder with every secret as a Fernet token.
package struct OpenHandsExport: Sendable {
  /// Paths below the folder, and what the files hold.
  package let files: [(path: String, content: JSONValue)]
  /// Places that the agent server takes as they stand: there it sees the token.
  package let notOpened: [String]
  /// To be in the audit chain before anything of the above leaves.
  package let event: AuditEvent
}

extension Desk {
  /// Everything of a tenant that an agent server keeps, in one snapshot, sealed by the primary key of `ring`.
  package func exportOpenHands(tenant: String, ring: WireRing, _ origin: RequestOrigin) throws(ServiceError) -> OpenHandsExport {
    guard ring.primary != nil else { throw .obstructed(.noWireKey) }
    requestBegins()
    defer { turnEnds() }
    let seconds = UInt64(max(0, service.now() / 1000))
    var writer = OpenHandsWriter { text throws(ServiceError) in
      do { return try ring.seal(text.utf8, unixSeconds: seconds) } catch { throw .internalFailure }
    }
    if let row = try service.settingsRow(tenant: tenant, in: reader) {
      try writer.add(try service.document(of: row, tenant: tenant, in: reader))
    }
    let secrets = try addSecrets(of: tenant, to: &writer, origin)
    let profiles = try service.profiles(tenant: tenant, in: reader)
    for (name, profile) in profiles { try writer.add(profile, name) }
    let agentProfiles = try service.agentProfiles(tenant: tenant, in: reader).profiles
    for profile in agentProfiles { writer.add(profile) }
    let connections = try service.connections(tenant: tenant, in: reader)
    for connection in connections { try writer.add(connection) }
    if let lists = try service.storedWorkspaces(tenant: tenant, in: reader) { writer.add(lists) }
    writer.end()
    let details =
      "{\"agentProfiles\":\(agentProfiles.count),\"connections\":\(connections.count),\"profiles\":\(profiles.count),\"secrets\":\(secrets)}"
    return OpenHandsExport(
      files: writer.files, notOpened: writer.notOpened, event: AuditEvent("export.openhands", details: details))
  }

  private func addSecrets(of tenant: String, to writer: inout OpenHandsWriter<ServiceError>, _ origin: RequestOrigin)
    throws(ServiceError) -> Int
  {
    var (position, count) = (Int64.min, 0)
    while true {
      let rows: [SecretRow]
      do { rows = try reader.secrets(tenant: tenant, after: position, limit: 500) } catch { throw ServiceError(error) }
      for row in rows {
        let keys = try service.vault.keys(tenant: tenant, version: row.kekVersion, in: reader)
        try keys.verify(row)
        if row.isCanary { service.raise(Canary(row), "export.openhands", by: .localOperator(tenant: tenant), origin) }
        guard let name = SecretName(Array(row.name.utf8)) else { throw .unreadable }
        let value = try keys.open(row).withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) }
        try writer.add(name, value: value, description: row.description)
        position = row.position
        count += 1
      }
      if rows.count < 500 { return count }
    }
  }
}
