internal import Ciphers
internal import Model
package import Store
internal import StrictJSON

extension Desk {
  /// In order of id, deleted ones among them.
  package func tenants(after id: String, limit: Int) throws(ServiceError) -> [TenantRow] {
    do { return try reader.tenants(after: id, limit: limit) } catch { throw ServiceError(error) }
  }

  /// Every tenant in order of id, deleted ones among them: their chains stay.
  package func eachTenantEver(_ body: (TenantRow) throws(ServiceError) -> Void) throws(ServiceError) {
    try reader.eachTenantEver(body)
  }

  /// Every tenant that was not deleted, in order of id.
  func eachTenant(_ body: (TenantRow) throws(ServiceError) -> Void) throws(ServiceError) {
    try eachTenantEver { row throws(ServiceError) in if !row.isDeleted { try body(row) } }
  }
}

extension StoreReading {
  /// As `Desk.eachTenantEver`.
  func eachTenantEver(_ body: (TenantRow) throws(ServiceError) -> Void) throws(ServiceError) {
    var after = ""
    while true {
      let rows: [TenantRow]
      do { rows = try tenants(after: after, limit: 100) } catch { throw ServiceError(error) }
      for row in rows { try body(row) }
      guard rows.count == 100, let last = rows.last else { return }
      after = last.id
    }
  }
}

extension Service {
  package func createTenant(
    name: String, by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<TenantRow, ServiceError>) -> Void
  ) {
    let maker = KeyMaker(vault: vault, now: now)
    write(
      { transaction in
        let id = try "ten_" + RandomText.ulid(at: self.now())
        try maker.insertTenant(id: id, name: name, in: transaction)
        try self.record(AuditEvent("tenant.create", subject: id), by: principal.acting(in: id), requestID: requestID, in: transaction)
        return try self.vault.verifiedTenant(id, in: transaction)
      }, completion: completion)
  }

  /// The last entry of a tenant's chain that is about rows: all of them are gone.
  static let tenantDeleted: StaticString = "tenant.delete"

  package func renameTenant(
    _ id: String, to name: String, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<TenantRow, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        var row = try self.vault.verifiedTenant(id, in: transaction)
        if row.name == name { return row }
        let details: JSONValue = ["from": .string(JSONString(row.name)), "to": .string(JSONString(name))]
        row.name = name
        row.mac = try self.vault.mac(of: row)
        try transaction.update(row)
        let event = AuditEvent("tenant.rename", subject: id, details: String(decoding: details.serialized(), as: UTF8.self))
        try self.record(event, by: principal.acting(in: id), requestID: requestID, in: transaction)
        return row
      }, completion: completion)
  }

  /// Deletes a tenant for good: its KEKs, so that no copy of a row opens any more, its rows and its keys. Its audit chain
  /// stays, and its row without a name or a KEK to hold it by.
  ///
  /// - Parameters:
  ///   - name: the name the caller takes the tenant to have.
  ///   - completion: gets whether the wrapped KEKs have left the store's files too.
  package func deleteTenant(
    _ id: String, named name: String, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
  ) {
    let vault = vault
    guard id != defaultTenant else { return completion(.failure(.obstructed(.defaultTenant))) }
    store.erase(
      { transaction in
        var row = try vault.verifiedTenant(id, in: transaction)
        guard row.name == name else { throw ServiceError.preconditionFailed }
        let details: JSONValue = ["name": .string(JSONString(name))]
        let event = AuditEvent(Self.tenantDeleted, subject: id, details: String(decoding: details.serialized(), as: UTF8.self))
        try self.record(event, by: principal.acting(in: id), requestID: requestID, in: transaction)
        try transaction.deleteContents(ofTenant: id)
        // The name is free again.
        row.name = "deleted " + id
        row.activeKEKVersion = 0
        row.mac = try vault.mac(of: row)
        try transaction.update(row)
      },
      completion: { result in
        if case .success = result { vault.forget(id) }
        completion(result.map(\.isErased).mapError(ServiceError.init))
      })
  }
}
