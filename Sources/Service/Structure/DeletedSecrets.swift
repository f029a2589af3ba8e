internal import KeyRing
package import Model
internal import Store

extension StructureTransaction {
  /// Deletes softly, as an agent would.
  func deleteSecret(_ stored: ScopedSecretRow) throws {
    let days = try settings.deletionWindowDays
    try store.delete(stored)
    _ = try store.resize(stored.place, by: -1)
    let row = try put(stored) { row in
      row.deletedAt = now
      row.purgeAfter = now + days * 86_400_000
    }
    try recordSecret("secret.deleted", row)
    if days == 0 { try service.purge(row, by: principal.acting(in: tenant), origin, in: store) }
  }

  /// Brings a deleted secret back (scoped spec, section 10). Its id must be free.
  ///
  /// - Parameter incarnation: the first 8 hexadecimal digits; nil = the newest.
  package func restoreSecret(_ scope: Scope, _ id: String, incarnation: String?) throws -> SecretView {
    let place = ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id)
    if let live = try service.liveSecret(place, id, in: store) { throw ScopedFailure(.exists(currentTag: live.tag)) }
    guard let found = try deleted(place, id, incarnation) else { throw ScopedFailure(code: .secretNotFound) }
    // Nobody would reach it there, and it could not be purged.
    guard try isThere(scope) else { throw ScopedFailure(code: .notFound) }
    try quotas.spend("maxSecretsPerScope", try store.resize(place, by: 1), of: try settings.maxSecretsPerScope)
    try store.delete(found)
    let row = try put(found) { row in
      row.deletedAt = nil
      row.purgeAfter = nil
    }
    try recordSecret("secret.restored", row)
    return try service.view(row, in: store)
  }

  package func purgeSecret(_ scope: Scope, _ id: String) throws -> Int {
    let place = ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id)
    let rows = try store.deletedSecrets(place, id: id, limit: 1000)
    guard !rows.isEmpty else { throw ScopedFailure(code: .secretNotFound) }
    for row in rows { try service.purge(try service.verified(row, in: store), by: principal.acting(in: tenant), origin, in: store) }
    return rows.count
  }

  private func isThere(_ scope: Scope) throws -> Bool {
    switch scope.kind {
    case .org: scope.id == tenant
    case .team: try store.team(tenant: tenant, id: scope.id) != nil
    case .project: try store.project(tenant: tenant, id: scope.id) != nil
    case .agent: try store.agent(tenant: tenant, id: scope.id) != nil
    }
  }

  func deleted(_ place: ScopeKey, _ id: String, _ incarnation: String?) throws -> ScopedSecretRow? {
    let rows = try store.deletedSecrets(place, id: id, limit: 1000).map { try service.verified($0, in: store) }
    return rows.first { row in (row.purgeAfter ?? 0) > now && incarnation.map { $0 == row.incarnationText } ?? true }
  }

  func put(_ row: ScopedSecretRow, _ change: (inout ScopedSecretRow) -> Void) throws -> ScopedSecretRow {
    var row = row
    change(&row)
    row.revision += 1
    row.updatedAt = now
    row.updatedBy = maker
    row = try service.signed(row, in: store)
    try store.put(row)
    return row
  }

  func recordSecret(_ action: StaticString, _ row: ScopedSecretRow) throws {
    let event = AuditEvent(action, in: row.scopeValue, subject: row.secretID, revision: row.revision, details: details.text)
    try service.record(event, by: principal.acting(in: tenant), requestID: origin.id, in: store)
  }
}
