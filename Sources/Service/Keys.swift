internal import Ciphers
internal import KeyRing
package import Model
package import SecretMemory
package import Store

/// A key just made: the only moment its text exists.
package struct NewKey: Sendable {
  package let row: APIKeyRow
  package let token: SecretBytes

  var created: AuditEvent { AuditEvent("key.create", subject: row.id, rows: [RowChange(row)]) }
}

/// Makes tenants and keys inside a transaction. Used at `init` and by the admin surface alike.
struct KeyMaker {
  let vault: Vault
  let now: @Sendable () -> Int64

  func insertTenant(id: String, name: String, in transaction: any StoreTransaction) throws {
    try transaction.insert(vault.newKEK(tenant: id, version: 1, at: now()))
    var row = TenantRow(id: id, name: name, createdAt: now(), activeKEKVersion: 1, mac: [])
    row.mac = try vault.mac(of: row)
    try transaction.insert(row)
  }

  func insertKey(
    _ kind: APIKeyKind, role: String, tenant: String, name: String, expiresAt: Int64?, agent: AgentKeyPart? = nil,
    in transaction: any StoreTransaction
  ) throws -> NewKey {
    let token = try APIKeyToken.generate(prefix: kind.prefix)
    var row = APIKeyRow(
      id: token.id, tenant: tenant, kind: kind.rawValue, role: role, name: name, digest: token.digest, createdAt: now(),
      expiresAt: expiresAt, revokedAt: nil, agent: agent, mac: [])
    row.mac = try vault.mac(of: row)
    try transaction.insert(row)
    return NewKey(row: row, token: token.text)
  }
}

/// What a new key is to be.
package struct KeyRequest: Sendable {
  package enum Rights: Sendable {
    case session(Level)
    case admin(OperatorRole)
  }
  package let rights: Rights
  package let name: String
  /// Unix milliseconds; nil = never.
  package let expiresAt: Int64?

  package init(rights: Rights, name: String, expiresAt: Int64?) {
    self.rights = rights
    self.name = name
    self.expiresAt = expiresAt
  }
}

extension Service {
  package func createKey(
    _ request: KeyRequest, tenant: String, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<NewKey, ServiceError>) -> Void
  ) {
    let maker = KeyMaker(vault: vault, now: now)
    write(
      { transaction in
        _ = try self.vault.verifiedTenant(tenant, in: transaction)
        let key =
          switch request.rights {
          case .session(let level):
            try maker.insertKey(
              .session, role: level.rawValue, tenant: tenant, name: request.name, expiresAt: request.expiresAt, in: transaction)
          case .admin where principal.role != .owner: throw ServiceError.forbidden(.write)
          case .admin(let role):
            try maker.insertKey(
              .admin, role: role.rawValue, tenant: tenant, name: request.name, expiresAt: request.expiresAt, in: transaction)
          }
        try self.record(key.created, by: principal.acting(in: tenant), requestID: requestID, in: transaction)
        return key
      }, completion: completion)
  }

  /// Ends a key at once: the next request that carries it is refused. Revoking twice is no error.
  package func revokeKey(
    _ id: String, by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<APIKeyRow, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        guard let row = try transaction.apiKey(id).map(self.vault.verified) else { throw ServiceError.notFound }
        // Keys of admins are the owners' alone.
        if row.kind == APIKeyKind.admin.rawValue, principal.role != .owner { throw ServiceError.forbidden(.write) }
        if row.revokedAt != nil { return row }
        let revoked = try self.revoke(row, in: transaction)
        let event = AuditEvent("key.revoke", subject: id, rows: [RowChange(revoked)])
        try self.record(event, by: principal.acting(in: row.tenant), requestID: requestID, in: transaction)
        return revoked
      }, completion: completion)
  }

  /// Ends a key in a transaction that records it. The row was proven.
  func revoke(_ row: APIKeyRow, in transaction: any StoreTransaction) throws -> APIKeyRow {
    var row = row
    row.revokedAt = now()
    row = try vault.signed(row)
    try transaction.update(row)
    return row
  }
}

extension Desk {
  /// nil when there is none of that id.
  package func apiKey(_ id: String) throws(ServiceError) -> APIKeyRow? {
    do { return try reader.apiKey(id) } catch { throw ServiceError(error) }
  }

  /// Whether a key holds now: its row is ours, and it was neither revoked nor has ended.
  package func isGood(_ row: APIKeyRow) throws(ServiceError) -> Bool {
    try service.vault.verify(row) && Authenticator.end(of: row, now: service.now()) == nil
  }

  /// The keys of a tenant in order of id; rows whose MAC does not hold are refused, not listed.
  package func keys(tenant: String, after id: String, limit: Int) throws(ServiceError) -> [APIKeyRow] {
    let rows: [APIKeyRow]
    do { rows = try reader.apiKeys(tenant: tenant, after: id, limit: limit) } catch { throw ServiceError(error) }
    for row in rows where try !service.vault.verify(row) { throw .unreadable }
    return rows
  }

  /// Why a token is no admin key that holds.
  package func refusal(ofAdmin token: [UInt8]) throws(ServiceError) -> ErrorCode {
    try Authenticator.refusal(ofAdmin: token, service: service, in: reader)
  }

  package func authenticateAdmin(_ token: [UInt8]) throws(ServiceError) -> Principal {
    let principal = try Authenticator.admin(for: token, service: service, in: reader)
    caller = principal
    return principal
  }

  /// Figures of the keys of all tenants; `notice` is how many milliseconds before its end a key counts as expiring.
  package func keyFigures(notice: Int64) throws(ServiceError) -> KeyFigures {
    let now = service.now()
    do { return try reader.keyFigures(now: now, expiringBefore: now + notice) } catch { throw ServiceError(error) }
  }
}

extension Principal {
  /// The local operator on the control socket.
  package static func localOperator(tenant: String) -> Principal {
    Principal(tenant: tenant, actor: .localOperator, keyID: "", level: .masked, role: .owner)
  }

  /// The same actor, its deeds written into the chain of `tenant`.
  package func acting(in tenant: String) -> Principal {
    Principal(tenant: tenant, actor: actor, actorID: actorID, keyID: keyID, level: level, role: role)
  }
}
