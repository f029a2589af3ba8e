internal import Ciphers
internal import Model
package import Store
internal import StrictJSON

extension StructureTransaction {
  package func createTeam(_ name: String) throws -> TeamRow {
    let limit = try settings.maxTeams
    let count = try store.teams(tenant: tenant, after: "", limit: Int(limit)).count
    try quotas.spend("maxTeams", Int64(count) + 1, of: limit)
    let row = try put(TeamRow(tenant: tenant, id: "team_" + RandomText.ulid(at: now), name: name, createdAt: now, mac: []))
    try record("team.create", row.id, rows: [RowChange(row)])
    return row
  }

  package func renameTeam(_ id: String, to name: String) throws -> TeamRow {
    var row = try team(id)
    if row.name == name { return row }
    row.name = name
    row = try put(row)
    try record("team.rename", id, rows: [RowChange(row)])
    return row
  }

  /// - Parameter cascades: its secrets are deleted softly and its projects with it; otherwise it is refused while it has either.
  package func deleteTeam(_ id: String, cascades: Bool) throws {
    let row = try team(id)
    let projects = try store.projects(tenant: tenant, after: "", limit: 100_000).filter { $0.team == id }
    guard cascades || projects.isEmpty else { throw ScopedFailure(code: .inUse) }
    let members = try empty(Scope(.team, id), cascades: cascades)
    for project in projects { try deleteProject(project.id, cascades: true) }
    _ = try store.deleteTeam(tenant: tenant, id: id)
    try record("team.delete", id, rows: members + [RowChange(deleted: row)])
  }

  package func createProject(_ name: String, team: String?) throws -> ProjectRow {
    let limit = try settings.maxProjects
    let count = try store.projects(tenant: tenant, after: "", limit: Int(limit)).count
    try quotas.spend("maxProjects", Int64(count) + 1, of: limit)
    if let team { _ = try self.team(team) }
    let row = try put(
      ProjectRow(tenant: tenant, id: "proj_" + RandomText.ulid(at: now), name: name, team: team, createdAt: now, mac: []))
    try record("project.create", row.id, rows: [RowChange(row)])
    return row
  }

  /// - Parameter team: nil = as it is; moving changes what the members inherit.
  package func changeProject(_ id: String, name: String?, team: String??) throws -> ProjectRow {
    var row = try project(id)
    if let name, name != row.name {
      row.name = name
      row = try put(row)
      try record("project.rename", id, rows: [RowChange(row)])
    }
    if let team, team != row.team {
      if let team { _ = try self.team(team) }
      row.team = team
      row = try put(row)
      let affected = try store.members(tenant: tenant, scope: ScopeKind.project.rawValue, scopeID: id, limit: 10_000).map(\.agent)
      try record("project.moved", id, details.with("agents", affected), rows: [RowChange(row)])
    }
    return row
  }

  package func deleteProject(_ id: String, cascades: Bool) throws {
    let row = try project(id)
    let members = try empty(Scope(.project, id), cascades: cascades)
    _ = try store.deleteProject(tenant: tenant, id: id)
    try record("project.delete", id, rows: members + [RowChange(deleted: row)])
  }

  /// Takes members and secrets out of a scope that is to go; the memberships that are gone.
  func empty(_ scope: Scope, cascades: Bool) throws -> [RowChange] {
    let place = ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id)
    while true {
      let rows = try store.scopedSecrets(place, after: "", limit: 500)
      guard cascades || rows.isEmpty else { throw ScopedFailure(code: .inUse) }
      for row in rows { try deleteSecret(try service.verified(row, in: store)) }
      if rows.count < 500 { break }
    }
    return try store.members(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id, limit: 100_000).map(removed)
  }

  func removed(_ member: MembershipRow) throws -> RowChange {
    _ = try store.deleteMembership(tenant: tenant, agent: member.agent, scope: member.scope, scopeID: member.scopeID)
    return RowChange(deleted: member)
  }

  func team(_ id: String) throws -> TeamRow {
    guard let row = try store.team(tenant: tenant, id: id) else { throw ScopedFailure(code: .notFound) }
    return try service.vault.verified(row)
  }

  func project(_ id: String) throws -> ProjectRow {
    guard let row = try store.project(tenant: tenant, id: id) else { throw ScopedFailure(code: .notFound) }
    return try service.vault.verified(row)
  }

  func put(_ row: TeamRow) throws -> TeamRow {
    let row = try service.vault.signed(row)
    try store.put(row)
    return row
  }

  func put(_ row: ProjectRow) throws -> ProjectRow {
    let row = try service.vault.signed(row)
    try store.put(row)
    return row
  }
}
