internal import Ciphers
internal import KeyRing
package import Model
package import SecretMemory
internal import Store

/// A key or token just made: the only moment its text exists.
package struct IssuedKey: Sendable {
  package let view: AgentKeyView
  let row: APIKeyRow
  package let text: SecretBytes
}

/// A key of an agent as it is shown. Never its digest.
package struct AgentKeyView: Sendable {
  /// `key_` and 16 characters.
  package let id: String
  package let agent: String
  package let name: String
  /// Unix milliseconds.
  package let createdAt: Int64
  package let createdBy: String
  package let expiresAt: Int64?
  package let lastUsedAt: Int64?
  /// `active`, `rotating`, `expired` or `revoked`.
  package let status: String
  package let grants: KeyGrants
  package let isChild: Bool
  package let maxUses: Int64?

  init(_ row: APIKeyRow, _ part: AgentKeyPart, _ grants: KeyGrants, _ use: KeyUseRow?, now: Int64) {
    id = "key_" + row.id
    agent = part.agent
    name = row.name
    createdAt = row.createdAt
    createdBy = part.createdBy
    expiresAt = row.expiresAt
    lastUsedAt = use.flatMap { $0.lastUsedAt == 0 ? nil : $0.lastUsedAt }
    if row.revokedAt != nil {
      status = "revoked"
    } else if let expiry = row.expiresAt, expiry <= now {
      status = "expired"
    } else {
      status = part.isRetiring ? "rotating" : "active"
    }
    self.grants = grants
    isChild = row.kind == APIKeyKind.child.rawValue
    maxUses = part.maxUses
  }
}

/// What a new key of an agent is to be.
package struct AgentKeyPlan: Sendable {
  package var name: String
  /// Unix milliseconds; nil = never.
  package var expiresAt: Int64?
  package var grants = KeyGrants()

  package init(name: String, expiresAt: Int64?) {
    self.name = name
    self.expiresAt = expiresAt
  }

  /// How long a key lives unless something else is said: 90 days in milliseconds.
  package static let usualLife: Int64 = 90 * 86_400_000
}

/// What a short-lived token is to be (scoped spec, section 5.12).
package struct ChildTokenPlan: Sendable {
  package var name: String
  package var ttlSeconds: Int64
  package var grants: KeyGrants
  package var maxUses: Int64?

  package init(name: String, ttlSeconds: Int64, grants: KeyGrants, maxUses: Int64?) {
    self.name = name
    self.ttlSeconds = ttlSeconds
    self.grants = grants
    self.maxUses = maxUses
  }
}

extension Service {
  func view(_ row: APIKeyRow, in store: any StoreReading) throws -> AgentKeyView {
    guard let part = row.agent, let grants = KeyGrants(stored: part.grants) else { throw ServiceError.unreadable }
    return AgentKeyView(row, part, grants, try use(of: row.id, row.tenant, in: store), now: now())
  }

  /// Stores a new key of an agent.
  func issue(
    _ plan: AgentKeyPlan, kind: APIKeyKind = .agent, agent: String, parent: String = "", maxUses: Int64? = nil, tenant: String,
    by maker: String, in transaction: any StoreTransaction
  ) throws -> IssuedKey {
    let part = AgentKeyPart(
      agent: agent, parent: parent, grants: plan.grants.stored, createdBy: maker, maxUses: maxUses, isRetiring: false)
    let made = try KeyMaker(vault: vault, now: now).insertKey(
      kind, role: "", tenant: tenant, name: plan.name, expiresAt: plan.expiresAt, agent: part, in: transaction)
    if maxUses != nil { try beginUses(of: made.row.id, tenant, in: transaction) }
    return IssuedKey(view: try view(made.row, in: transaction), row: made.row, text: made.token)
  }

  package func makeToken(
    _ plan: ChildTokenPlan, by caller: AgentCaller, _ origin: RequestOrigin,
    completion: @escaping @Sendable (Result<IssuedKey, ScopedFailure>) -> Void
  ) {
    scopedWrite(by: caller.principal, origin) { transaction in
      guard !caller.isChild else { throw ScopedFailure(code: .wrongKeyKind) }
      var key = AgentKeyPlan(name: plan.name, expiresAt: self.now() + plan.ttlSeconds * 1000)
      key.grants = plan.grants
      let made = try self.issue(
        key, kind: .child, agent: caller.agentID, parent: caller.keyID, maxUses: plan.maxUses, tenant: caller.tenant, by: caller.agentID,
        in: transaction)
      try self.record(
        AuditEvent("token.created", subject: made.view.id, details: AuditDetails(origin).text, rows: [RowChange(made.row)]),
        by: caller.principal,
        requestID: origin.id, in: transaction)
      return made
    } completion: {
      completion($0)
    }
  }

  /// Ends a token of the caller's own agent.
  package func revokeToken(
    _ id: String, by caller: AgentCaller, _ origin: RequestOrigin, completion: @escaping @Sendable (Result<Void, ScopedFailure>) -> Void
  ) {
    scopedWrite(by: caller.principal, origin) { transaction in
      guard let row = try transaction.apiKey(Self.bareKeyID(id)).map(self.vault.verified), row.kind == APIKeyKind.child.rawValue,
        row.tenant == caller.tenant,
        row.agent?.agent == caller.agentID, !caller.isChild || row.id == caller.keyID
      else { throw ScopedFailure(code: .notFound) }
      guard row.revokedAt == nil else { return }
      let revoked = try self.revoke(row, in: transaction)
      try self.record(
        AuditEvent("token.revoked", subject: "key_" + row.id, details: AuditDetails(origin).text, rows: [RowChange(revoked)]),
        by: caller.principal,
        requestID: origin.id, in: transaction)
    } completion: {
      completion($0)
    }
  }

  /// The stored id, with or without `key_` in front.
  static func bareKeyID(_ id: String) -> String { id.hasPrefix("key_") ? String(id.dropFirst(4)) : id }
}
