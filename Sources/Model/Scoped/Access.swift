/// What decides where an agent reaches: nothing is read here.
package struct AccessFacts: Sendable {
  package struct Membership: Sendable {
    package let scope: Scope
    package let name: String
    /// Of a project: the team it sits in, with its name.
    package let team: (id: String, name: String)?
    package let role: Role
    package let priority: Int64

    package init(scope: Scope, name: String, team: (id: String, name: String)?, role: Role, priority: Int64) {
      self.scope = scope
      self.name = name
      self.team = team
      self.role = role
      self.priority = priority
    }
  }

  package var tenant: (id: String, name: String)
  package var agent: (id: String, name: String)
  /// nil = none.
  package var orgRole: Role?
  package var memberships: [Membership]
  /// Of the key.
  package var capabilities: Capabilities
  /// nil = no narrowing by the key.
  package var scopes: [Scope]?

  package init(
    tenant: (id: String, name: String), agent: (id: String, name: String), orgRole: Role?, memberships: [Membership],
    capabilities: Capabilities, scopes: [Scope]?
  ) {
    self.tenant = tenant
    self.agent = agent
    self.orgRole = orgRole
    self.memberships = memberships
    self.capabilities = capabilities
    self.scopes = scopes
  }
}

/// One scope that a key reaches, and why.
package struct Grant: Sendable, Equatable {
  package let scope: Scope
  package let name: String
  package let role: Role
  /// `default`, `self`, `membership`, or `project:ID` for a team that is reached through a project.
  package let via: String
  package let priority: Int64
  package let rights: Capabilities
  /// Of a project: the team it sits in.
  package let team: String?
}

/// The effective rights of a key: role of the membership, cut to the key's capabilities and scopes (section 2.3).
package struct Access: Sendable, Equatable {
  /// Org first, then teams, projects and the agent; each group by name. Only scopes with some right.
  package let grants: [Grant]

  package func rights(on scope: Scope) -> Capabilities { grant(on: scope)?.rights ?? [] }
  package func grant(on scope: Scope) -> Grant? { grants.first { $0.scope == scope } }

  package init(_ facts: AccessFacts) {
    var grants: [Grant] = []
    if let role = facts.orgRole {
      grants.append(Self.grant(Scope(.org, facts.tenant.id), facts.tenant.name, role, "default"))
    }
    grants += Self.teams(facts)
    for member in facts.memberships.filter({ $0.scope.kind == .project }).sorted(by: Self.inOrder) {
      grants.append(
        Grant(
          scope: member.scope, name: member.name, role: member.role, via: "membership", priority: member.priority,
          rights: member.role.capabilities, team: member.team?.id))
    }
    grants.append(Self.grant(Scope(.agent, facts.agent.id), facts.agent.name, .manager, "self"))
    self.grants = grants.compactMap { Self.narrowed($0, facts) }
  }

  private static func grant(_ scope: Scope, _ name: String, _ role: Role, _ via: String) -> Grant {
    Grant(scope: scope, name: name, role: role, via: via, priority: 0, rights: role.capabilities, team: nil)
  }

  /// Direct memberships, and teams that are reached through a project: those read only (section 3.1).
  private static func teams(_ facts: AccessFacts) -> [Grant] {
    var found: [String: Grant] = [:]
    for member in facts.memberships where member.scope.kind == .team {
      found[member.scope.id] = Grant(
        scope: member.scope, name: member.name, role: member.role, via: "membership", priority: member.priority,
        rights: member.role.capabilities, team: nil)
    }
    // The project with the higher priority names the way; ids settle the rest, so that the answer is always the same.
    let projects = facts.memberships.filter { $0.scope.kind == .project }
      .sorted { ($1.priority, $0.scope.id) < ($0.priority, $1.scope.id) }
    for member in projects {
      guard let team = member.team else { continue }
      let implied = Role.reader.capabilities.intersection(member.role.capabilities)
      if let known = found[team.id] {
        found[team.id] = Grant(
          scope: known.scope, name: known.name, role: known.role, via: known.via,
          priority: known.via == "membership" ? known.priority : max(known.priority, member.priority),
          rights: known.rights.union(implied), team: nil)
      } else if !implied.isEmpty {
        found[team.id] = Grant(
          scope: Scope(.team, team.id), name: team.name, role: implied.contains(.read) ? .reader : .observer,
          via: "project:\(member.scope.id)", priority: member.priority, rights: implied, team: nil)
      }
    }
    return found.values.sorted { inOrder(($0.name, $0.scope.id), ($1.name, $1.scope.id)) }
  }

  private static func inOrder(_ left: AccessFacts.Membership, _ right: AccessFacts.Membership) -> Bool {
    inOrder((left.name, left.scope.id), (right.name, right.scope.id))
  }

  /// By bytes.
  private static func inOrder(_ left: (String, String), _ right: (String, String)) -> Bool {
    if left.0.utf8.elementsEqual(right.0.utf8) { return left.1.utf8.lexicographicallyPrecedes(right.1.utf8) }
    return left.0.utf8.lexicographicallyPrecedes(right.0.utf8)
  }

  private static func narrowed(_ grant: Grant, _ facts: AccessFacts) -> Grant? {
    if let scopes = facts.scopes, !scopes.contains(grant.scope) { return nil }
    let rights = grant.rights.intersection(facts.capabilities)
    guard !rights.isEmpty else { return nil }
    return Grant(
      scope: grant.scope, name: grant.name, role: grant.role, via: grant.via, priority: grant.priority, rights: rights, team: grant.team)
  }
}
