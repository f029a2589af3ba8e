package import Model
internal import Store
package import StrictJSON

extension Desk {
  package func workspaces(for principal: Principal) throws(ServiceError) -> Workspaces {
    try principal.demand(.readRedacted)
    return try service.workspaces(tenant: principal.tenant, in: reader).lists
  }
}

extension Service {
  private static let workspaceCollection = "workspaces"

  fileprivate func workspaces(tenant: String, in reading: any StoreReading) throws(ServiceError) -> (row: DocumentRow?, lists: Workspaces) {
    guard let row = try documentRow(Self.workspaceCollection, Self.settingsName, tenant: tenant, in: reading) else {
      return (nil, Workspaces())
    }
    do { return (row, try Workspaces(stored: try open(row, in: reading).json())) } catch { throw .unreadable }
  }

  /// nil when nothing was stored.
  func storedWorkspaces(tenant: String, in reading: any StoreReading) throws(ServiceError) -> Workspaces? {
    let (row, lists) = try workspaces(tenant: tenant, in: reading)
    return row == nil ? nil : lists
  }

  /// Puts the lists of an import in the place of what is there.
  func importWorkspaces(_ lists: Workspaces, tenant: String, in transaction: any StoreTransaction) throws(ServiceError) -> DocumentRow {
    let stored = try workspaces(tenant: tenant, in: transaction).row
    let row = try sealed(
      lists.json.serialized(), collection: Self.workspaceCollection, name: Self.settingsName, after: stored, tenant: tenant,
      in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }

  /// Appends entries whose path is new; gives back all of both lists.
  package func addWorkspaces(
    _ additions: [JSONValue], to list: Workspaces.List, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Workspaces, ServiceError>) -> Void
  ) {
    changeWorkspaces(for: principal, requestID: requestID, completion: completion) { lists throws(ServiceError) in
      guard lists.add(additions, to: list) else { throw .limitReached(.workspace, Workspaces.limit) }
    }
  }

  package func removeWorkspace(
    _ path: JSONString, from list: Workspaces.List, for principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Workspaces, ServiceError>) -> Void
  ) {
    changeWorkspaces(for: principal, requestID: requestID, completion: completion) { lists throws(ServiceError) in
      guard lists.remove(path, from: list) else { throw .absent(list == .workspaces ? .workspace : .workspaceParent, "") }
    }
  }

  private func changeWorkspaces(
    for principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Workspaces, ServiceError>) -> Void,
    _ change: @escaping @Sendable (inout Workspaces) throws(ServiceError) -> Void
  ) {
    write(
      { transaction in
        var (row, lists) = try self.workspaces(tenant: principal.tenant, in: transaction)
        try change(&lists)
        let changed = try self.sealed(
          lists.json.serialized(), collection: Self.workspaceCollection, name: Self.settingsName, after: row, tenant: principal.tenant,
          in: transaction)
        try transaction.put(changed)
        let event = AuditEvent("workspaces.update", subject: "workspaces", revision: changed.version, rows: [RowChange(changed)])
        try self.record(event, by: principal, requestID: requestID, in: transaction)
        return lists
      }, completion: completion)
  }
}
