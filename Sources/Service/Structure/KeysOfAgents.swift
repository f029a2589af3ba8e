internal import Model
internal import Store
internal import StrictJSON

extension StructureTransaction {
  package func issueKey(_ plan: AgentKeyPlan, agent id: String) throws -> IssuedKey {
    _ = try agent(id)
    let settings = try settings
    guard plan.expiresAt != nil || settings.allowKeysWithoutExpiry else {
      throw ScopedFailure(.invalid("/expiresAt", "a time, since this tenant has no keys without end"))
    }
    try spendKey(of: id, settings)
    let made = try service.issue(plan, agent: id, tenant: tenant, by: maker, in: store)
    try record("key.create", made.view.id, rows: [RowChange(made.row)])
    return made
  }

  private func spendKey(of id: String, _ settings: TenantSettings) throws {
    var live: Int64 = 0
    var last = ""
    while true {
      let keys = try store.apiKeys(tenant: tenant, agent: id, after: last, limit: 500)
      for key in keys where key.kind == APIKeyKind.agent.rawValue && key.revokedAt == nil && key.expiresAt.map({ $0 > now }) ?? true {
        live += 1
      }
      guard keys.count == 500, let end = keys.last else { break }
      last = end.id
    }
    try quotas.spend("maxKeysPerAgent", live + 1, of: settings.maxKeysPerAgent)
  }

  /// Makes a key with the attributes of another, which ends after `graceSeconds`.
  package func rotateKey(_ key: String, agent id: String, graceSeconds: Int64) throws -> (new: IssuedKey, old: AgentKeyView) {
    var old = try self.key(key, agent: id)
    guard old.kind == APIKeyKind.agent.rawValue, old.revokedAt == nil, old.expiresAt.map({ $0 > now }) ?? true,
      let part = old.agent, let grants = KeyGrants(stored: part.grants)
    else { throw ScopedFailure(code: .keyEnded) }
    var plan = AgentKeyPlan(name: old.name, expiresAt: old.expiresAt.map { now + ($0 - old.createdAt) })
    plan.grants = grants
    let made = try service.issue(plan, agent: id, tenant: tenant, by: maker, in: store)
    if graceSeconds == 0 { old.revokedAt = now }
    old.expiresAt = min(old.expiresAt ?? .max, now + graceSeconds * 1000)
    old.agent?.isRetiring = true
    old.mac = try service.vault.mac(of: old)
    try store.update(old)
    try record("key.rotate", "key_" + old.id, details.with("key", [made.view.id]), rows: [RowChange(made.row), RowChange(old)])
    return (made, try service.view(old, in: store))
  }

  package func revokeKey(_ key: String, agent id: String) throws -> AgentKeyView {
    let row = try self.key(key, agent: id)
    guard row.revokedAt == nil else { return try service.view(row, in: store) }
    let ended = try service.revoke(row, in: store)
    try record("key.revoke", "key_" + row.id, rows: [RowChange(ended)])
    return try service.view(ended, in: store)
  }

  func key(_ key: String, agent id: String) throws -> APIKeyRow {
    guard let row = try store.apiKey(Service.bareKeyID(key)), row.tenant == tenant, row.agent?.agent == id else {
      throw ScopedFailure(code: .notFound)
    }
    guard try service.vault.verify(row) else { throw ServiceError.unreadable }
    return row
  }
}
