internal import KeyRing
package import Model
package import SecretMemory
internal import Store

/// Name and description of a custom secret.
package struct SecretSummary: Sendable, Equatable {
  package let name: String
  package let description: String?
  /// With its quotes. A secret that is made again under its name has other tags than before.
  package let tag: String

  init(_ row: SecretRow) {
    name = row.name
    description = row.description
    tag = row.tag
  }
}

extension SecretRow {
  fileprivate var tag: String { "\"\(version)-\(incarnation)\"" }
}

/// Something a caller may see only once `event` is in the audit chain.
package struct Exposure: Sendable {
  package let value: SecretBytes
  package let event: AuditEvent
}

/// What a PUT of a custom secret asks for (decisions D6 and D10).
package struct SecretChange: Sendable {
  package enum Description: Sendable {
    case keep
    case set(String?)
  }
  package let name: SecretName
  /// nil keeps the stored value.
  package let value: SecretBytes?
  package let description: Description

  package init(name: SecretName, value: SecretBytes?, description: Description) {
    self.name = name
    self.value = value
    self.description = description
  }

  /// Values beyond this are refused.
  package static let maximumValueBytes = 64 << 10
}

extension Desk {
  /// All custom secrets in order of arrival, without values.
  package func secrets(for principal: Principal) throws(ServiceError) -> [SecretSummary] {
    try principal.demand(.listSecrets)
    var summaries: [SecretSummary] = []
    var position = Int64.min
    while true {
      let rows: [SecretRow]
      do { rows = try reader.secrets(tenant: principal.tenant, after: position, limit: 500) } catch { throw ServiceError(error) }
      for row in rows {
        let row = try service.verified(row, in: reader)
        summaries.append(SecretSummary(row))
        position = row.position
      }
      if rows.count < 500 { return summaries }
    }
  }

  /// The value of one secret. It may leave the process only after its event was recorded (`Service.expose`).
  package func secretValue(_ name: SecretName, for principal: Principal, _ origin: RequestOrigin) throws(ServiceError) -> Exposure {
    try principal.demand(reading: name.text)
    let row: SecretRow?
    do { row = try reader.secret(tenant: principal.tenant, name: name.text) } catch { throw ServiceError(error) }
    guard let row else { throw .notFound }
    let keys = try service.vault.keys(tenant: row.tenant, version: row.kekVersion, in: reader)
    try keys.verify(row)
    if row.isCanary { service.raise(Canary(row), "secret.read", by: principal, origin) }
    return Exposure(value: try keys.open(row), event: AuditEvent("secret.read", subject: row.name, revision: row.version))
  }
}

extension Service {
  /// Creates or updates a secret, durable and audited before `completion` is called.
  package func put(
    _ change: SecretChange, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<SecretSummary, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        // Proven before what stays of it gets a new MAC.
        let stored = try transaction.secret(tenant: principal.tenant, name: change.name.text).map { try self.verified($0, in: transaction) }
        try self.check(ifMatch, stored?.tag)
        let row = try self.updated(stored, by: change, tenant: principal.tenant, in: transaction)
        try transaction.put(row)
        let event = AuditEvent(
          stored == nil ? "secret.create" : "secret.update", subject: row.name, revision: row.version, rows: [RowChange(row)])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return SecretSummary(row)
      }, completion: completion)
  }

  /// Deletes a secret, durable and audited before `completion` is called.
  package func deleteSecret(
    _ name: SecretName, ifMatch: EntityTagCondition?, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        guard let stored = try transaction.secret(tenant: principal.tenant, name: name.text) else { throw ServiceError.notFound }
        try self.check(ifMatch, stored.tag)
        _ = try transaction.deleteSecret(tenant: principal.tenant, name: name.text)
        var event = AuditEvent(
          "secret.delete", subject: name.text, revision: stored.version, rows: [RowChange(deleted: RowChange.secret(name.text))])
        if stored.isCanary {
          event.rows.append(Canary(stored).end)
          try transaction.forgetCanaryAlerts(tenant: principal.tenant, place: Canary(stored).mark.place)
        }
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Checks the row's MAC.
  func verified(_ row: SecretRow, in store: any StoreReading) throws(ServiceError) -> SecretRow {
    try vault.keys(tenant: row.tenant, version: row.kekVersion, in: store).verify(row)
    return row
  }

  /// The row after `change`: a new version sealed under the tenant's active keys, in its old place in the order.
  func updated(_ stored: SecretRow?, by change: SecretChange, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError)
    -> SecretRow
  {
    let keys = try sealingKeys(tenant: tenant, in: transaction)
    let value: SecretBytes
    if let new = change.value {
      value = new
    } else if let stored {
      value = try vault.keys(tenant: tenant, version: stored.kekVersion, in: transaction).open(stored)
    } else {
      throw .invalidBody([.missing(["body", "value"])])
    }
    let time = now()
    do {
      let sequence = try stored?.position ?? transaction.nextSequence(tenant: tenant)
      var row = SecretRow(
        tenant: tenant, name: change.name.text, position: sequence, description: stored?.description,
        incarnation: stored?.incarnation ?? UInt64(bitPattern: sequence), version: (stored?.version ?? 0) + 1, kekVersion: keys.version,
        sealed: [], createdAt: stored?.createdAt ?? time, updatedAt: time, isCanary: stored?.isCanary ?? false, mac: [])
      if case .set(let text) = change.description { row.description = text }
      let place = Place.secret(tenant, row.name, incarnation: row.incarnation, version: row.version)
      row.sealed = try value.withBytes { bytes in try keys.seal(bytes, at: place) }
      row.mac = try keys.mac(of: row)
      return row
    } catch { throw ServiceError(error) }
  }
}
