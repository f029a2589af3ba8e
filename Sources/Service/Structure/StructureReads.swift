package import Model
package import Store

/// A secret of the scoped dialect as operators see it: metadata, deleted ones too.
package struct SecretRecord: Sendable {
  package let view: SecretView
  /// The first 8 hexadecimal digits.
  package let incarnation: String
  /// Unix milliseconds; nil = live.
  package let deletedAt: Int64?
  package let purgeAfter: Int64?
}

extension Desk {
  package func settings(tenant: String) throws(ScopedFailure) -> TenantSettings {
    try scoped { try service.vault.settings(of: tenant, in: reader) }
  }

  package func teams(tenant: String, after id: String, limit: Int) throws(ScopedFailure) -> [TeamRow] {
    try scoped { try reader.teams(tenant: tenant, after: id, limit: limit).map(service.vault.verified) }
  }

  package func team(tenant: String, id: String) throws(ScopedFailure) -> TeamRow {
    try found { try reader.team(tenant: tenant, id: id).map(service.vault.verified) }
  }

  package func projects(tenant: String, after id: String, limit: Int) throws(ScopedFailure) -> [ProjectRow] {
    try scoped { try reader.projects(tenant: tenant, after: id, limit: limit).map(service.vault.verified) }
  }

  package func project(tenant: String, id: String) throws(ScopedFailure) -> ProjectRow {
    try found { try reader.project(tenant: tenant, id: id).map(service.vault.verified) }
  }

  package func agents(tenant: String, after id: String, limit: Int) throws(ScopedFailure) -> [AgentRow] {
    try scoped { try reader.agents(tenant: tenant, after: id, limit: limit).map(service.vault.verified) }
  }

  package func agent(tenant: String, id: String) throws(ScopedFailure) -> AgentRow {
    try found { try reader.agent(tenant: tenant, id: id).map(service.vault.verified) }
  }

  package func memberships(tenant: String, agent id: String) throws(ScopedFailure) -> [MembershipRow] {
    _ = try agent(tenant: tenant, id: id)
    return try scoped { try reader.memberships(tenant: tenant, agent: id).map(service.vault.verified) }
  }

  package func agentKeys(tenant: String, agent id: String, after key: String, limit: Int) throws(ScopedFailure) -> [AgentKeyView] {
    _ = try agent(tenant: tenant, id: id)
    return try scoped {
      try reader.apiKeys(tenant: tenant, agent: id, after: key, limit: limit).map { row in
        guard try service.vault.verify(row) else { throw ServiceError.unreadable }
        return try service.view(row, in: reader)
      }
    }
  }

  package func invites(tenant: String, after id: String, limit: Int) throws(ScopedFailure) -> [InviteRow] {
    try scoped { try reader.invites(tenant: tenant, after: id, limit: limit).map(service.vault.verified) }
  }

  /// What an agent reaches with a key that narrows nothing, and why.
  ///
  /// - Returns: what its memberships give it, and since when it is disabled: then no key of it has any of that.
  package func access(tenant: String, agent id: String) throws(ScopedFailure) -> (Access, disabledAt: Int64?) {
    let agent = try agent(tenant: tenant, id: id)
    return try scoped {
      let owner = try service.vault.verifiedTenant(tenant, in: reader)
      let role = try service.vault.settings(of: tenant, in: reader).orgDefaultRole
      let facts = AccessFacts(
        tenant: (owner.id, owner.name), agent: (agent.id, agent.name), orgRole: role,
        memberships: try service.memberships(of: agent, in: reader).map(\.fact), capabilities: .all, scopes: nil)
      return (Access(facts), agent.disabledAt)
    }
  }

  /// Secrets of every scope, behind all those of the given place and id.
  package func secretRecords(tenant: String, after place: (scope: String, scopeID: String, id: String), limit: Int)
    throws(ScopedFailure) -> [SecretRecord]
  {
    try scoped {
      let start = ScopeKey(tenant: tenant, scope: place.scope, scopeID: place.scopeID)
      return try reader.allSecrets(after: start, id: place.id, grave: .max, limit: limit).map { try record($0.secret) }
    }
  }

  /// The live one of an id and the deleted ones, newest first.
  package func secretRecords(tenant: String, _ scope: Scope, _ id: String, includesDeleted: Bool) throws(ScopedFailure) -> [SecretRecord] {
    try scoped {
      let place = ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id)
      let live = try reader.scopedSecret(place, id: id)
      let deleted = includesDeleted ? try reader.deletedSecrets(place, id: id, limit: 100) : []
      let rows = (live.map { [$0] } ?? []) + deleted
      guard !rows.isEmpty else { throw ScopedFailure(code: .secretNotFound) }
      return try rows.map(record)
    }
  }

  private func record(_ row: ScopedSecretRow) throws -> SecretRecord {
    let row = try service.verified(row, in: reader)
    return SecretRecord(
      view: try service.view(row, in: reader), incarnation: row.incarnationText, deletedAt: row.deletedAt, purgeAfter: row.purgeAfter)
  }

  private func found<T>(_ body: () throws -> T?) throws(ScopedFailure) -> T {
    guard let value = try scoped(body) else { throw ScopedFailure(code: .notFound) }
    return value
  }
}
