package import Store

/// A key in the place of another.
package struct RotatedKey: Sendable {
  package let new: NewKey
  package let old: APIKeyRow
}

extension Service {
  /// Makes a key with the rights, name and lifetime of another, which ends after `overlap` milliseconds: at once when that
  /// is 0, and never later than it would have.
  package func rotateKey(
    _ id: String, overlap: Int64, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<RotatedKey, ServiceError>) -> Void
  ) {
    let maker = KeyMaker(vault: vault, now: now)
    write(
      { transaction in
        // An agent's keys have a way of their own.
        guard var old = try transaction.apiKey(id), let kind = APIKeyKind(rawValue: old.kind), [.session, .admin].contains(kind) else {
          throw ServiceError.notFound
        }
        guard try self.vault.verify(old) else { throw ServiceError.unreadable }
        // A new key is a right: nobody gets a greater one than the own.
        if kind == .admin, principal.role != .owner { throw ServiceError.forbidden(.write) }
        let now = self.now()
        guard old.revokedAt == nil, old.expiresAt.map({ $0 > now }) ?? true else { throw ServiceError.obstructed(.keyHasEnded) }
        let new = try maker.insertKey(
          kind, role: old.role, tenant: old.tenant, name: old.name, expiresAt: old.expiresAt.map { now + ($0 - old.createdAt) },
          agent: old.agent, in: transaction)
        if overlap == 0 { old.revokedAt = now } else { old.expiresAt = min(old.expiresAt ?? .max, now + overlap) }
        old.mac = try self.vault.mac(of: old)
        try transaction.update(old)
        let details = "{\"key\":\"\(new.row.id)\",\"overlapSeconds\":\(overlap / 1000)}"
        let event = AuditEvent("key.rotate", subject: id, details: details, rows: [RowChange(new.row), RowChange(old)])
        try self.record(event, by: principal.acting(in: old.tenant), requestID: requestID, in: transaction)
        return RotatedKey(new: new, old: old)
      }, completion: completion)
  }
}
