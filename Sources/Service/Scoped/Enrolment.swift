internal import Ciphers
internal import KeyRing
package import Model
package import SecretMemory
internal import Store
package import StrictJSON

/// A place in a team or project that is to be given.
package struct MembershipPlan: Sendable, Equatable {
  package var scope: Scope
  package var role: Role
  package var priority: Int64
  /// Unix milliseconds; nil = for good.
  package var expiresAt: Int64?

  package init(scope: Scope, role: Role, priority: Int64, expiresAt: Int64?) {
    self.scope = scope
    self.role = role
    self.priority = priority
    self.expiresAt = expiresAt
  }

  /// Reads `scope`, `scopeId`, `role`, `priority` and `expiresAt`.
  ///
  /// - Parameter now: what it must end after, in Unix milliseconds; `.min` for what is stored, which may have ended since.
  package init(_ object: JSONObject, pointer: String, after now: Int64) throws(Refusal) {
    guard let scope = Scope(.object(object)), scope.kind == .team || scope.kind == .project else {
      throw .invalid(pointer + "/scope", "a team or project with its scopeId")
    }
    try self.init(object, scope: scope, pointer: pointer, after: now)
  }

  /// The same where the path names the scope.
  package init(_ object: JSONObject, scope: Scope, pointer: String, after now: Int64) throws(Refusal) {
    self.scope = scope
    guard let role = object["role"]?.string.flatMap({ Role(rawValue: $0.text) }) else {
      throw .invalid(pointer + "/role", "observer, reader, depositor, writer or manager")
    }
    self.role = role
    priority = 0
    if let value = object["priority"], !value.isNull {
      guard let number = value.number?.int64, (-1_000_000...1_000_000).contains(number) else {
        throw .invalid(pointer + "/priority", "an integer from -1000000 to 1000000")
      }
      priority = number
    }
    if let value = object["expiresAt"], !value.isNull { expiresAt = try value.end(pointer + "/expiresAt", after: now) }
  }

  package var json: JSONObject {
    var object = JSONObject()
    object["scope"] = .string(JSONString(scope.kind.rawValue))
    object["scopeId"] = .string(JSONString(scope.id))
    object["role"] = .string(JSONString(role.rawValue))
    object["priority"] = .number(JSONNumber(priority))
    object["expiresAt"] = expiresAt.map { .string(JSONString(UTCTime(unixMicroseconds: $0 * 1000).text)) } ?? .null
    return object
  }
}

/// An agent that has just enrolled.
package struct Enrolled: Sendable {
  package let agent: String
  package let tenant: String
  package let key: IssuedKey
}

extension Service {
  /// Makes an agent for whoever holds a good invite (scoped spec, section 5.13). Unknown, expired, revoked and used up are one.
  package func enrol(
    invite token: SecretBytes, name: String, _ origin: RequestOrigin,
    completion: @escaping @Sendable (Result<Enrolled, ScopedFailure>) -> Void
  ) {
    let parsed = token.withBytes { bytes in APIKeyToken(parsing: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) }
    store.write(
      { transaction in
        guard let parsed, parsed.prefix == InviteToken.prefix, var invite = try transaction.invite(parsed.id).map(self.vault.verified),
          constantTimeEqual(invite.digest, parsed.digest), invite.revokedAt == nil, invite.expiresAt > self.now(),
          invite.uses < invite.maxUses
        else { throw ScopedFailure(code: .inviteInvalid) }
        invite.uses += 1
        invite.mac = try self.vault.mac(of: invite)
        try transaction.put(invite)
        let agent = try self.makeAgent(
          name: name, description: "", tenant: invite.tenant, by: "invite_" + invite.id, QuotaLedger(), in: transaction)
        // A team or project that is gone by now gives nothing.
        let members = try MembershipPlan.list(invite.memberships).compactMap { plan in
          try? self.put(plan, agent: agent.id, tenant: invite.tenant, in: transaction).row
        }
        let key = AgentKeyPlan(name: "enrolled", expiresAt: self.now() + AgentKeyPlan.usualLife)
        let issued = try self.issue(key, agent: agent.id, tenant: invite.tenant, by: "invite_" + invite.id, in: transaction)
        let principal = Principal(tenant: invite.tenant, actor: .agent, actorID: agent.id, keyID: issued.view.id, level: .masked)
        try self.record(
          AuditEvent(
            "agent.enrolled", subject: agent.id, details: AuditDetails(origin).with("invite", ["invite_" + invite.id]).text,
            rows: [RowChange(invite), RowChange(agent), RowChange(issued.row)] + members.map { RowChange($0) }),
          by: principal, requestID: origin.id, in: transaction)
        return Enrolled(agent: agent.id, tenant: invite.tenant, key: issued)
      }, completion: { completion($0.mapError(ScopedFailure.init)) })
  }

  func makeAgent(
    name: String, description: String, tenant: String, by maker: String, _ quotas: QuotaLedger, in transaction: any StoreTransaction
  ) throws -> AgentRow {
    let limit = try vault.settings(of: tenant, in: transaction).maxAgents
    let count = try transaction.agents(tenant: tenant, after: "", limit: Int(limit)).count
    try quotas.spend("maxAgents", Int64(count) + 1, of: limit)
    var row = AgentRow(
      tenant: tenant, id: try "agt_" + RandomText.ulid(at: now()), name: name, description: description, createdAt: now(),
      createdBy: maker, disabledAt: nil, mac: [])
    row.mac = try vault.mac(of: row)
    try transaction.put(row)
    return row
  }

  /// Gives an agent a place, or changes the one it has.
  func put(_ plan: MembershipPlan, agent: String, tenant: String, in transaction: any StoreTransaction) throws
    -> (row: MembershipRow, isNew: Bool)
  {
    switch plan.scope.kind {
    case .team: guard try transaction.team(tenant: tenant, id: plan.scope.id) != nil else { throw ScopedFailure(code: .notFound) }
    case .project: guard try transaction.project(tenant: tenant, id: plan.scope.id) != nil else { throw ScopedFailure(code: .notFound) }
    case .org, .agent: throw ScopedFailure(.invalid("/scope", "a team or project"))
    }
    let known = try transaction.memberships(tenant: tenant, agent: agent)
      .first { $0.scope == plan.scope.kind.rawValue && $0.scopeID == plan.scope.id }
    var row = MembershipRow(
      tenant: tenant, agent: agent, scope: plan.scope.kind.rawValue, scopeID: plan.scope.id, role: plan.role.rawValue,
      priority: plan.priority, expiresAt: plan.expiresAt, createdAt: known?.createdAt ?? now(), mac: [])
    row.mac = try vault.mac(of: row)
    try transaction.put(row)
    return (row, known == nil)
  }
}

/// The text of an invite has the form of a key.
package enum InviteToken {
  package static let prefix = "inv"
}

extension MembershipPlan {
  /// From an invite's row.
  static func list(_ text: String) throws -> [MembershipPlan] {
    guard let array = try JSONValue.parse([UInt8](text.utf8), limits: .scoped).array else { throw ServiceError.unreadable }
    return try array.map { try MembershipPlan($0.object ?? JSONObject(), pointer: "", after: .min) }
  }
}
