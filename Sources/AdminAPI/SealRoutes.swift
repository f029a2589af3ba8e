internal import HTTPMessages
internal import SecretMemory
internal import Service
internal import StrictJSON

/// `/admin/v1/seal`: an owner drops the root key from anywhere; only the host brings it back (scoped spec, section 10).
extension AdminAPI {
  func sealStatus(_ request: Request) -> Response { ok(["sealed": .bool(desk.service.isSealed)], request) }

  func seal(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    if !request.body.isEmpty { _ = try AdminBody.object(request, members: []) }
    let service = desk.service
    return .later { send in
      service.seal(by: principal.acting(in: service.defaultTenant), requestID: request.id) { result in
        let now = service.now()
        let response = result.map { Self.ok(["sealed": true, "recorded": .bool($0)], request, at: now) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  /// The root key is read where the start has read it; never from the wire.
  func unseal(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    if !request.body.isEmpty { _ = try AdminBody.object(request, members: []) }
    return try walking(request) { desk, finish in
      let service = desk.service
      try service.unseal(by: principal.acting(in: service.defaultTenant), requestID: request.id)
      finish(.success(Self.ok(["sealed": false], request, at: service.now())))
    }
  }
}

extension AdminRoute {
  /// Whether a sealed server answers: its health, the seal, and what needs no more than a row's proof.
  var isServedSealed: Bool {
    switch self {
    case .metrics, .status, .root, .sealStatus, .seal, .unseal, .tenants, .tenant, .admins, .keys: true
    case .structure(let route): route.isServedSealed
    case .createTenant, .renameTenant, .deleteTenant, .createAdmin, .createAdminKey, .revokeAdmin, .createKey, .revokeKey, .rotateKey,
      .auditEntries, .auditHead, .verifyAudit, .exportAudit, .trimAudit, .importOpenHands, .exportOpenHands, .wireKeys, .rotateWireKey,
      .retireWireKey, .backUp, .verify, .rewrapRoot, .conversations, .revokeConversation:
      false
    }
  }
}

extension StructureRoute {
  fileprivate var isServedSealed: Bool {
    switch self {
    case .tenantSettings, .teams, .team, .projects, .project, .agents, .agent, .access, .memberships, .agentKeys, .invites, .keks: true
    case .changeTenantSettings, .createTeam, .renameTeam, .deleteTeam, .createProject, .changeProject, .deleteProject, .createAgent,
      .changeAgent, .deleteAgent, .disableAgent, .enableAgent, .putMembership, .removeMembership, .createAgentKey, .rotateAgentKey,
      .revokeAgentKey, .createInvite, .revokeInvite, .secretRecords, .secretRecord, .restoreSecret, .purgeSecret, .rotateKEK, .disableKEK,
      .rewrap, .canaries, .markSecret, .unmarkSecret, .markScopedSecret, .unmarkScopedSecret:
      false
    }
  }
}
