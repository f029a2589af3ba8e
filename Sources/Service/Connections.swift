internal import Ciphers
package import Model
internal import SecretMemory
internal import Store
package import StrictJSON

extension Desk {
  /// Every provider connection in order of creation, without keys.
  package func connections(for principal: Principal) throws(ServiceError) -> [ProviderConnection] {
    try principal.demand(.readRedacted)
    return try service.connections(tenant: principal.tenant, in: reader)
  }
}

extension Service {
  static let connectionCollection = "provider-connections"
  /// More than this many are refused.
  package static let connectionLimit = 64

  func connections(tenant: String, in reading: any StoreReading) throws(ServiceError) -> [ProviderConnection] {
    var found: [(UInt64, ProviderConnection)] = []
    for (row, body) in try documents(Self.connectionCollection, tenant: tenant, in: reading) {
      found.append((row.incarnation, try connection(row, body)))
    }
    return found.sorted { $0.0 < $1.0 }.map(\.1)
  }

  func connection(_ id: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> ProviderConnection? {
    guard let row = try documentRow(Self.connectionCollection, id, tenant: tenant, in: reading) else { return nil }
    return try connection(row, try open(row, in: reading))
  }

  private func connection(_ row: DocumentRow, _ body: SecretBytes) throws(ServiceError) -> ProviderConnection {
    do { return try ProviderConnection(stored: try body.json(), id: row.name) } catch { throw .unreadable }
  }

  /// Makes a connection, durable and audited before `completion` is called.
  package func createConnection(
    _ body: JSONValue, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<ProviderConnection, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let connection: ProviderConnection
        do {
          connection = try ProviderConnection(creating: body, id: try Self.freshID(), now: self.now() / 1000)
        } catch let error as BodyError { throw ServiceError.invalidBody(error.issues) }
        let known = try transaction.documents(
          tenant: principal.tenant, collection: Self.connectionCollection, after: "", limit: Self.connectionLimit)
        guard known.count < Self.connectionLimit else { throw ServiceError.limitReached(.connection, Self.connectionLimit) }
        let row = try self.put(connection, after: nil, tenant: principal.tenant, in: transaction)
        let event = AuditEvent("provider_connection.create", subject: connection.id, revision: 1, rows: [RowChange(row)])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return connection
      }, completion: completion)
  }

  /// Changes a connection. Active settings that came from it follow a new key or address.
  package func changeConnection(
    _ id: String, _ change: ProviderConnection.Change, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<ProviderConnection, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        if change.isEmpty { throw ServiceError.emptyChange }
        guard let row = try self.documentRow(Self.connectionCollection, id, tenant: tenant, in: transaction) else {
          throw ServiceError.absent(.connection, id)
        }
        if change.clearsKey { throw ServiceError.keyNotClearable }
        let changed = try self.connection(row, try self.open(row, in: transaction)).applying(change, now: self.now() / 1000)
        let changedRow = try self.put(changed, after: row, tenant: tenant, in: transaction)
        let settings = try self.followInSettings(tenant: tenant, in: transaction) { document in
          document.connection == id ? document.following(changed) : nil
        }
        let rows = [RowChange(changedRow)] + settings
        let event = AuditEvent("provider_connection.update", subject: id, revision: changedRow.version, rows: rows)
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return changed
      }, completion: completion)
  }

  /// Deletes a connection that nothing names any more; gives back what it was.
  package func deleteConnection(
    _ id: String, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<ProviderConnection, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let tenant = principal.tenant
        guard let connection = try self.connection(id, tenant: tenant, in: transaction) else { throw ServiceError.absent(.connection, id) }
        let users = try self.users(of: id, tenant: tenant, in: transaction)
        guard users.isEmpty else { throw ServiceError.referenced(.connection, by: users) }
        _ = try transaction.deleteDocument(tenant: tenant, collection: Self.connectionCollection, name: id)
        let row = RowChange(deleted: RowChange.document(Self.connectionCollection, id))
        let event = AuditEvent("provider_connection.delete", subject: id, rows: [row])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return connection
      }, completion: completion)
  }

  private func users(of id: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> [String] {
    var users: [String] = []
    let profiles = try profiles(tenant: tenant, in: reading).filter { $0.profile.connection == id }.map(\.name)
    if !profiles.isEmpty { users.append("referenced by LLM profile(s): " + profiles.joined(separator: ", ")) }
    let row = try documentRow(Self.settingsCollection, Self.settingsName, tenant: tenant, in: reading)
    if try document(of: row, tenant: tenant, in: reading).connection == id { users.append("referenced by the active agent settings") }
    return users
  }

  /// Puts a connection of an import in the place of one with the same id.
  func importConnection(_ connection: ProviderConnection, tenant: String, in transaction: any StoreTransaction) throws(ServiceError)
    -> DocumentRow
  {
    let stored = try documentRow(Self.connectionCollection, connection.id, tenant: tenant, in: transaction)
    return try put(connection, after: stored, tenant: tenant, in: transaction)
  }

  private func put(_ connection: ProviderConnection, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction)
    throws(ServiceError) -> DocumentRow
  {
    let row = try sealed(
      connection.stored.serialized(), collection: Self.connectionCollection, name: connection.id, after: stored, tenant: tenant,
      in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }

  /// 32 hexadecimal digits.
  private static func freshID() throws(ServiceError) -> String {
    do {
      return try RandomBytes.generate(count: 16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    } catch { throw .internalFailure }
  }
}

extension SecretBytes {
  /// The JSON value in these bytes, which we wrote ourselves.
  func json() throws(ServiceError) -> JSONValue {
    let limits = JSONLimits(bytes: 64 << 20, depth: 256, members: 10_000_000)
    do { return try withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) } } catch { throw .unreadable }
  }
}
