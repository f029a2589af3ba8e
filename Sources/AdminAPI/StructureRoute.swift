internal import HTTPMessages
internal import Service

/// The routes of a tenant's structure and secrets (scoped spec, section 10).
enum StructureRoute: Sendable {
  case tenantSettings, changeTenantSettings
  case teams, createTeam, team, renameTeam, deleteTeam
  case projects, createProject, project, changeProject, deleteProject
  case agents, createAgent, agent, changeAgent, deleteAgent, disableAgent, enableAgent, access
  case memberships, putMembership, removeMembership
  case agentKeys, createAgentKey, rotateAgentKey, revokeAgentKey
  case invites, createInvite, revokeInvite
  case secretRecords, secretRecord, restoreSecret, purgeSecret
  case keks, rotateKEK, disableKEK, rewrap
  case canaries, markSecret, unmarkSecret, markScopedSecret, unmarkScopedSecret

  static let table: [(method: HTTPMethod, pattern: StaticString, route: StructureRoute)] = [
    (.get, "/admin/v1/tenants/{tenant}/settings", .tenantSettings),
    (.patch, "/admin/v1/tenants/{tenant}/settings", .changeTenantSettings),
    (.get, "/admin/v1/tenants/{tenant}/teams", .teams),
    (.post, "/admin/v1/tenants/{tenant}/teams", .createTeam),
    (.get, "/admin/v1/tenants/{tenant}/teams/{id}", .team),
    (.patch, "/admin/v1/tenants/{tenant}/teams/{id}", .renameTeam),
    (.delete, "/admin/v1/tenants/{tenant}/teams/{id}", .deleteTeam),
    (.get, "/admin/v1/tenants/{tenant}/projects", .projects),
    (.post, "/admin/v1/tenants/{tenant}/projects", .createProject),
    (.get, "/admin/v1/tenants/{tenant}/projects/{id}", .project),
    (.patch, "/admin/v1/tenants/{tenant}/projects/{id}", .changeProject),
    (.delete, "/admin/v1/tenants/{tenant}/projects/{id}", .deleteProject),
    (.get, "/admin/v1/tenants/{tenant}/agents", .agents),
    (.post, "/admin/v1/tenants/{tenant}/agents", .createAgent),
    (.get, "/admin/v1/tenants/{tenant}/agents/{id}", .agent),
    (.patch, "/admin/v1/tenants/{tenant}/agents/{id}", .changeAgent),
    (.delete, "/admin/v1/tenants/{tenant}/agents/{id}", .deleteAgent),
    (.post, "/admin/v1/tenants/{tenant}/agents/{id}/disable", .disableAgent),
    (.post, "/admin/v1/tenants/{tenant}/agents/{id}/enable", .enableAgent),
    (.get, "/admin/v1/tenants/{tenant}/agents/{id}/access", .access),
    (.get, "/admin/v1/tenants/{tenant}/agents/{id}/memberships", .memberships),
    (.put, "/admin/v1/tenants/{tenant}/agents/{id}/memberships/{scope}/{scopeId}", .putMembership),
    (.delete, "/admin/v1/tenants/{tenant}/agents/{id}/memberships/{scope}/{scopeId}", .removeMembership),
    (.get, "/admin/v1/tenants/{tenant}/agents/{id}/keys", .agentKeys),
    (.post, "/admin/v1/tenants/{tenant}/agents/{id}/keys", .createAgentKey),
    (.post, "/admin/v1/tenants/{tenant}/agents/{id}/keys/{key}/rotate", .rotateAgentKey),
    (.post, "/admin/v1/tenants/{tenant}/agents/{id}/keys/{key}/revoke", .revokeAgentKey),
    (.get, "/admin/v1/tenants/{tenant}/invites", .invites),
    (.post, "/admin/v1/tenants/{tenant}/invites", .createInvite),
    (.delete, "/admin/v1/tenants/{tenant}/invites/{id}", .revokeInvite),
    (.get, "/admin/v1/tenants/{tenant}/secrets", .secretRecords),
    (.get, "/admin/v1/tenants/{tenant}/secrets/{scope}/{scopeId}/{secretId}", .secretRecord),
    (.post, "/admin/v1/tenants/{tenant}/secrets/{scope}/{scopeId}/{secretId}/restore", .restoreSecret),
    (.post, "/admin/v1/tenants/{tenant}/secrets/{scope}/{scopeId}/{secretId}/purge", .purgeSecret),
    (.get, "/admin/v1/tenants/{tenant}/keks", .keks),
    (.post, "/admin/v1/tenants/{tenant}/keks/rotate", .rotateKEK),
    (.post, "/admin/v1/tenants/{tenant}/keks/{id}/{version}/disable", .disableKEK),
    (.get, "/admin/v1/tenants/{tenant}/keks/rewrap", .rewrap),
    (.get, "/admin/v1/tenants/{tenant}/canaries", .canaries),
    (.put, "/admin/v1/tenants/{tenant}/canaries/settings/{name}", .markSecret),
    (.delete, "/admin/v1/tenants/{tenant}/canaries/settings/{name}", .unmarkSecret),
    (.put, "/admin/v1/tenants/{tenant}/canaries/{scope}/{scopeId}/{secretId}", .markScopedSecret),
    (.delete, "/admin/v1/tenants/{tenant}/canaries/{scope}/{scopeId}/{secretId}", .unmarkScopedSecret),
  ]
}

extension AdminAPI {
  /// - Parameter parameters: of the path; the first names the tenant.
  func answer(_ route: StructureRoute, _ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal)
    throws(AdminFailure) -> Answer
  {
    let id = parameters.count > 1 ? parameters[1] : ""
    switch route {
    case .tenantSettings: return .now(try tenantSettings(tenant, request))
    case .changeTenantSettings: return try changeTenantSettings(tenant, request, principal)
    case .teams: return .now(try teams(tenant, request))
    case .createTeam: return try createTeam(tenant, request, principal)
    case .team: return .now(try team(tenant, id, request))
    case .renameTeam: return try renameTeam(tenant, id, request, principal)
    case .deleteTeam: return try deleteTeam(tenant, id, request, principal)
    case .projects: return .now(try projects(tenant, request))
    case .createProject: return try createProject(tenant, request, principal)
    case .project: return .now(try project(tenant, id, request))
    case .changeProject: return try changeProject(tenant, id, request, principal)
    case .deleteProject: return try deleteProject(tenant, id, request, principal)
    case .agents: return .now(try agents(tenant, request))
    case .createAgent: return try createAgent(tenant, request, principal)
    case .agent: return .now(try agent(tenant, id, request))
    case .changeAgent: return try changeAgent(tenant, id, request, principal)
    case .deleteAgent: return try deleteAgent(tenant, id, request, principal)
    case .disableAgent: return setAgent(tenant, id, isDisabled: true, request, principal)
    case .enableAgent: return setAgent(tenant, id, isDisabled: false, request, principal)
    case .access: return .now(try access(tenant, id, request))
    case .memberships: return .now(try memberships(tenant, id, request))
    case .putMembership: return try putMembership(parameters, tenant, request, principal)
    case .removeMembership: return try removeMembership(parameters, tenant, request, principal)
    case .agentKeys: return .now(try agentKeys(tenant, id, request))
    case .createAgentKey: return try createAgentKey(tenant, id, request, principal)
    case .rotateAgentKey: return try rotateAgentKey(parameters, tenant, request, principal)
    case .revokeAgentKey: return revokeAgentKey(parameters, tenant, request, principal)
    case .invites: return .now(try invites(tenant, request))
    case .createInvite: return try createInvite(tenant, request, principal)
    case .revokeInvite: return revokeInvite(tenant, id, request, principal)
    case .secretRecords: return .now(try secretRecords(tenant, request))
    case .secretRecord: return .now(try secretRecord(parameters, tenant, request))
    case .restoreSecret: return try restoreSecret(parameters, tenant, request, principal)
    case .purgeSecret: return try purgeSecret(parameters, tenant, request, principal)
    case .keks: return .now(try keks(tenant, request))
    case .rotateKEK: return rotateKEK(tenant, request, principal)
    case .disableKEK: return try disableKEK(parameters, tenant, request, principal)
    case .rewrap: return try rewrap(tenant, request)
    case .canaries: return .now(try canaries(tenant, request))
    case .markSecret: return try setCanary(true, secret: id, tenant, request, principal)
    case .unmarkSecret: return try setCanary(false, secret: id, tenant, request, principal)
    case .markScopedSecret: return try setCanary(true, parameters, tenant, request, principal)
    case .unmarkScopedSecret: return try setCanary(false, parameters, tenant, request, principal)
    }
  }
}
