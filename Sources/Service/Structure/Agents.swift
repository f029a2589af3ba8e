package import Model
package import Store
internal import StrictJSON

extension StructureTransaction {
  package func createAgent(_ name: String, description: String, key: AgentKeyPlan?) throws -> (agent: AgentRow, key: IssuedKey?) {
    let row = try service.makeAgent(name: name, description: description, tenant: tenant, by: maker, quotas, in: store)
    try record("agent.create", row.id, rows: [RowChange(row)])
    return (row, try key.map { try issueKey($0, agent: row.id) })
  }

  package func changeAgent(_ id: String, name: String?, description: String?) throws -> AgentRow {
    var row = try agent(id)
    guard name ?? row.name != row.name || description ?? row.description != row.description else { return row }
    row.name = name ?? row.name
    row.description = description ?? row.description
    row = try put(row)
    try record("agent.change", id, rows: [RowChange(row)])
    return row
  }

  /// A disabled agent's keys all refuse at once.
  package func setAgent(_ id: String, isDisabled: Bool) throws -> AgentRow {
    var row = try agent(id)
    guard (row.disabledAt != nil) != isDisabled else { return row }
    row.disabledAt = isDisabled ? now : nil
    row = try put(row)
    try record(isDisabled ? "agent.disable" : "agent.enable", id, rows: [RowChange(row)])
    return row
  }

  package func deleteAgent(_ id: String, cascades: Bool) throws {
    let row = try agent(id)
    var gone = try empty(Scope(.agent, id), cascades: cascades)
    gone += try store.memberships(tenant: tenant, agent: id).map(removed) + [RowChange(deleted: row)]
    var last = ""
    while true {
      let keys = try store.apiKeys(tenant: tenant, agent: id, after: last, limit: 500)
      for key in keys where key.revokedAt == nil { gone.append(RowChange(try service.revoke(service.vault.verified(key), in: store))) }
      guard keys.count == 500, let end = keys.last else { break }
      last = end.id
    }
    _ = try store.deleteAgent(tenant: tenant, id: id)
    try record("agent.delete", id, rows: gone)
  }

  package func putMembership(_ plan: MembershipPlan, agent id: String) throws -> Bool {
    _ = try agent(id)
    let (row, isNew) = try service.put(plan, agent: id, tenant: tenant, in: store)
    let details = details.with("scope", [plan.scope.kind.rawValue, plan.scope.id]).with("role", [plan.role.rawValue])
    try record("member.put", id, details, rows: [RowChange(row)])
    return isNew
  }

  package func removeMembership(_ scope: Scope, agent id: String) throws {
    _ = try agent(id)
    let member = try store.memberships(tenant: tenant, agent: id).first { $0.scope == scope.kind.rawValue && $0.scopeID == scope.id }
    guard let member else { throw ScopedFailure(code: .notFound) }
    try record("member.remove", id, details.with("scope", [scope.kind.rawValue, scope.id]), rows: [try removed(member)])
  }

  func agent(_ id: String) throws -> AgentRow {
    guard let row = try store.agent(tenant: tenant, id: id) else { throw ScopedFailure(code: .notFound) }
    return try service.vault.verified(row)
  }

  func put(_ row: AgentRow) throws -> AgentRow {
    let row = try service.vault.signed(row)
    try store.put(row)
    return row
  }
}
