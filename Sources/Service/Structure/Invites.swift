internal import KeyRing
internal import Model
package import SecretMemory
package import Store
internal import StrictJSON

/// An invite just made: the only moment its token exists.
package struct IssuedInvite: Sendable {
  package let row: InviteRow
  package let token: SecretBytes
}

extension StructureTransaction {
  package func createInvite(_ label: String, _ memberships: [MembershipPlan], expiresAt: Int64, maxUses: Int64) throws -> IssuedInvite {
    for plan in memberships {
      switch plan.scope.kind {
      case .team: _ = try team(plan.scope.id)
      case .project: _ = try project(plan.scope.id)
      case .org, .agent: throw ScopedFailure(.invalid("/memberships", "teams and projects"))
      }
    }
    let token = try APIKeyToken.generate(prefix: InviteToken.prefix)
    let list = JSONValue.array(memberships.map { .object($0.json) })
    var row = InviteRow(
      tenant: tenant, id: token.id, label: label, digest: token.digest, memberships: String(decoding: list.serialized(), as: UTF8.self),
      expiresAt: expiresAt, maxUses: maxUses, uses: 0, createdAt: now, createdBy: maker, revokedAt: nil, mac: [])
    row.mac = try service.vault.mac(of: row)
    try store.put(row)
    try record("invite.create", "invite_" + row.id, rows: [RowChange(row)])
    return IssuedInvite(row: row, token: token.text)
  }

  package func revokeInvite(_ id: String) throws -> InviteRow {
    let bare = id.hasPrefix("invite_") ? String(id.dropFirst(7)) : id
    guard var row = try store.invite(bare), row.tenant == tenant else { throw ScopedFailure(code: .notFound) }
    row = try service.vault.verified(row)
    guard row.revokedAt == nil else { return row }
    row.revokedAt = now
    row.mac = try service.vault.mac(of: row)
    try store.put(row)
    try record("invite.revoke", "invite_" + row.id, rows: [RowChange(row)])
    return row
  }
}
