internal import Ciphers
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Store

/// From a bearer key to an agent: the one place that decides who a caller of the scoped dialect is.
struct AgentAuthenticator {
  let service: Service
  let store: any StoreReading

  /// - Parameter address: of the client, as nginx saw it; judged against the key's networks.
  func caller(_ token: [UInt8], address: String) throws(ScopedFailure) -> AgentCaller {
    guard let parsed = APIKeyToken(parsing: token) else { throw ScopedFailure(code: .unauthenticated) }
    let row = try scoped { try store.apiKey(parsed.id) }
    // An unknown id costs the same comparison as a known one.
    let matches = constantTimeEqual(row?.digest ?? [UInt8](repeating: 0, count: 32), parsed.digest)
    guard let row, matches else { throw ScopedFailure(code: .unauthenticated) }
    guard let kind = APIKeyKind(rawValue: row.kind), kind.prefix == parsed.prefix else { throw ScopedFailure(code: .unauthenticated) }
    guard try scoped({ try service.vault.verify(row) }) else { throw ScopedFailure(code: .unavailable) }
    try check(row)
    switch kind {
    case .session, .admin, .conversation: throw ScopedFailure(code: .wrongKeyKind)
    case .agent, .child: return try caller(row, kind, address)
    }
  }

  private func check(_ row: APIKeyRow) throws(ScopedFailure) {
    if let end = Authenticator.end(of: row, now: service.now()) { throw ScopedFailure(code: end) }
  }

  private func caller(_ row: APIKeyRow, _ kind: APIKeyKind, _ address: String) throws(ScopedFailure) -> AgentCaller {
    guard let part = row.agent, var grants = KeyGrants(stored: part.grants) else { throw ScopedFailure(code: .unavailable) }
    var ends = [row.expiresAt]
    var networks = [grants.networks]
    if kind == .child {
      // What the parent has lost, the child has lost.
      guard let parent = try scoped({ try store.apiKey(part.parent) }), try scoped({ try service.vault.verify(parent) }),
        let given = parent.agent.flatMap({ KeyGrants(stored: $0.grants) })
      else { throw ScopedFailure(code: .unauthenticated) }
      try check(parent)
      ends.append(parent.expiresAt)
      networks.append(given.networks)
      grants.narrow(by: given)
    }
    let known = networks.compactMap { $0 }
    guard known.allow(address) else { throw ScopedFailure(code: .unauthenticated) }
    return try scoped {
      let tenant = try service.vault.verifiedTenant(row.tenant, in: store)
      let settings = try service.vault.settings(of: row.tenant, in: store)
      guard let agent = try store.agent(tenant: row.tenant, id: part.agent).map(service.vault.verified), agent.disabledAt == nil else {
        throw ScopedFailure(code: .unauthenticated)
      }
      let members = try service.memberships(of: agent, in: store)
      ends += members.map(\.expiresAt)
      let facts = AccessFacts(
        tenant: (tenant.id, tenant.name), agent: (agent.id, agent.name), orgRole: settings.orgDefaultRole,
        memberships: members.map(\.fact), capabilities: grants.capabilities, scopes: grants.scopes)
      return AgentCaller(
        principal: Principal(tenant: row.tenant, actor: .agent, actorID: agent.id, keyID: "key_" + row.id, level: .masked),
        agentName: agent.name, tenantName: tenant.name, keyID: row.id, grants: grants, access: Access(facts), settings: settings,
        expiresAt: row.expiresAt, isRetiring: part.isRetiring, isChild: kind == .child, maxUses: part.maxUses,
        networks: known, validUntil: ends.compactMap { $0 }.min())
    }
  }
}

extension KeyGrants {
  /// Takes away what `other` does not have either.
  mutating func narrow(by other: KeyGrants) {
    capabilities.formIntersection(other.capabilities)
    if let limit = other.scopes { scopes = scopes.map { $0.filter(limit.contains) } ?? limit }
    if let limit = other.secretIDs { secretIDs = secretIDs.map { $0.filter(limit.contains) } ?? limit }
    if rates.isEmpty { rates = other.rates }
  }
}

extension [[Network]] {
  /// Whether the address is in one network of each list.
  func allow(_ address: String) -> Bool { allSatisfy { list in list.contains { $0.contains(address) } } }
}

/// A membership with the names that its scope has now.
struct KnownMembership {
  let fact: AccessFacts.Membership
  let expiresAt: Int64?
}

extension Service {
  /// The memberships of an agent that hold now. One whose team or project is gone counts for nothing.
  func memberships(of agent: AgentRow, in store: any StoreReading) throws -> [KnownMembership] {
    var known: [KnownMembership] = []
    for row in try store.memberships(tenant: agent.tenant, agent: agent.id) {
      let row = try vault.verified(row)
      if let expiry = row.expiresAt, expiry <= now() { continue }
      guard let kind = ScopeKind(rawValue: row.scope), let role = Role(rawValue: row.role) else { continue }
      let scope = Scope(kind, row.scopeID)
      switch kind {
      case .team:
        guard let team = try store.team(tenant: row.tenant, id: row.scopeID).map(vault.verified) else { continue }
        known.append(
          KnownMembership(
            fact: AccessFacts.Membership(scope: scope, name: team.name, team: nil, role: role, priority: row.priority),
            expiresAt: row.expiresAt))
      case .project:
        guard let project = try store.project(tenant: row.tenant, id: row.scopeID).map(vault.verified) else { continue }
        let team = try project.team.flatMap { try store.team(tenant: row.tenant, id: $0) }.map(vault.verified)
        known.append(
          KnownMembership(
            fact: AccessFacts.Membership(
              scope: scope, name: project.name, team: team.map { ($0.id, $0.name) }, role: role, priority: row.priority),
            expiresAt: row.expiresAt))
      case .org, .agent: continue
      }
    }
    return known
  }
}

extension Desk {
  /// The agent that a bearer key names. The answer is remembered while nothing changes that says who may do what.
  package func authenticateAgent(_ token: [UInt8], address: String) throws(ScopedFailure) -> AgentCaller {
    let authenticator = AgentAuthenticator(service: service, store: reader)
    guard let structure = reader.structure else { return try authenticator.caller(token, address: address) }
    let digest = SHA256.digest(token)
    if let known = memory.caller(digest, in: structure, now: service.now()) {
      guard known.networks.allow(address) else { throw ScopedFailure(code: .unauthenticated) }
      return known
    }
    let caller = try authenticator.caller(token, address: address)
    memory.remember(caller, by: digest, in: structure)
    return caller
  }
}
