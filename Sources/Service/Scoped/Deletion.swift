internal import Model
internal import Store

/// What a deletion came to.
package struct SecretDeletion: Sendable {
  /// Unix milliseconds.
  package let purgeAfter: Int64
  package let wasDeleted: Bool
}

extension ScopedTransaction {
  /// Deletes softly (scoped spec, section 5.5): out of sight at once, restorable for the tenant's deletion window.
  package func deleteSecret(_ action: ScopedAction, _ conditions: Preconditions) throws -> SecretDeletion {
    let place = caller.place(action.scope)
    try purgeDue()
    guard let stored = try service.liveSecret(place, action.secretID, in: store) else {
      guard let last = try store.deletedSecrets(place, id: action.secretID, limit: 1).first,
        let end = try service.verified(last, in: store).purgeAfter, end > now
      else { throw ScopedFailure(code: .secretNotFound) }
      return SecretDeletion(purgeAfter: end, wasDeleted: true)
    }
    try conditions.check(stored.tag)
    try conditions.demand(settings)
    var row = try advanced(stored)
    row.deletedAt = now
    row.purgeAfter = now + settings.deletionWindowDays * 86_400_000
    try store.delete(stored)
    row = try put(row)
    _ = try store.resize(place, by: -1)
    try record(AuditEvent("secret.deleted", in: action.scope, subject: row.secretID, revision: row.revision, details: details.text))
    if settings.deletionWindowDays == 0 { try service.purge(row, by: .system(of: caller.tenant), origin, in: store) }
    return SecretDeletion(purgeAfter: row.purgeAfter ?? now, wasDeleted: false)
  }

  /// Destroys a few of the deleted secrets whose time has come.
  func purgeDue() throws {
    for row in try store.dueSecrets(tenant: caller.tenant, before: now, limit: 4) {
      try service.purge(try service.verified(row, in: store), by: .system(of: caller.tenant), origin, in: store)
    }
  }
}

extension Service {
  /// Destroys a deleted secret with every version of its fields. The rows of its data keys stay as facts, so that none is used
  /// again; so does its audit trail.
  func purge(_ row: ScopedSecretRow, by principal: Principal, _ origin: RequestOrigin, in transaction: any StoreTransaction) throws {
    try transaction.delete(row)
    try transaction.deleteFields(tenant: row.place.tenant, incarnation: row.incarnation)
    try record(
      AuditEvent("secret.purged", in: row.scopeValue, subject: row.secretID, revision: row.revision, details: AuditDetails(origin).text),
      by: principal, requestID: origin.id, in: transaction)
    guard row.isCanary else { return }
    let canary = Canary(row)
    try transaction.forgetCanaryAlerts(tenant: canary.tenant, place: canary.mark.place)
    // An entry of its own: the secret's history would tell that it was a canary.
    try record(
      AuditEvent("canary.end", subject: canary.place, rows: [canary.end]), by: principal, requestID: origin.id, in: transaction)
  }
}

extension Principal {
  /// The server itself.
  static func system(of tenant: String) -> Principal { Principal(tenant: tenant, actor: .system, keyID: "", level: .masked) }
}
