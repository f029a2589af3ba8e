package import Model
internal import Store
internal import StrictJSON

/// An authenticated agent, with everything that decides what its key reaches. Made by `AgentAuthenticator` and nowhere else.
/// One object, which the closures of an answer share.
package final class AgentCaller: Sendable {
  package let principal: Principal
  package let agentName: String
  package let tenantName: String
  /// The key's public id without its prefix.
  package let keyID: String
  package let grants: KeyGrants
  package let access: Access
  package let settings: TenantSettings
  /// Unix milliseconds; nil = never.
  package let expiresAt: Int64?
  /// The key was replaced and ends soon.
  package let isRetiring: Bool
  /// A short-lived token: it makes no further ones.
  package let isChild: Bool
  package let maxUses: Int64?
  /// Of the key, and of the key it came from: each must hold the client's address.
  let networks: [[Network]]
  /// When something of all this ends by itself: until then, and while the structure stands, it holds.
  let validUntil: Int64?

  init(
    principal: Principal, agentName: String, tenantName: String, keyID: String, grants: KeyGrants, access: Access,
    settings: TenantSettings, expiresAt: Int64?, isRetiring: Bool, isChild: Bool, maxUses: Int64?, networks: [[Network]],
    validUntil: Int64?
  ) {
    self.principal = principal
    self.agentName = agentName
    self.tenantName = tenantName
    self.keyID = keyID
    self.grants = grants
    self.access = access
    self.settings = settings
    self.expiresAt = expiresAt
    self.isRetiring = isRetiring
    self.isChild = isChild
    self.maxUses = maxUses
    self.networks = networks
    self.validUntil = validUntil
  }

  package var tenant: String { principal.tenant }
  package var agentID: String { principal.actorID }

  func place(_ scope: Scope) -> ScopeKey { ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id) }
}

/// One thing of a secret that a caller wants to do: for the check and for the audit chain alike.
package struct ScopedAction: Sendable {
  package let name: StaticString
  package let capability: Capabilities
  package let scope: Scope
  package let secretID: String
  package let fieldKey: String

  package init(_ name: StaticString, needs capability: Capabilities, on scope: Scope, secret: String = "", field: String = "") {
    self.name = name
    self.capability = capability
    self.scope = scope
    secretID = secret
    fieldKey = field
  }
}

extension AgentCaller {
  /// The access check (section 3.3): missing, foreign and unjoined scopes are one and the same.
  package func demand(_ action: ScopedAction, _ origin: RequestOrigin) throws(ScopedFailure) {
    let rights = access.rights(on: action.scope)
    if rights.isEmpty {
      let details = AuditDetails(origin).with(code: .scopeForbidden).with("scope", text: action.scope.kind.rawValue)
        .with("scopeId", text: action.scope.id)
      throw ScopedFailure(
        Refusal(.scopeForbidden), denial: AuditEvent("scope.denied", in: nil, outcome: .denied, details: details.text))
    }
    guard rights.isSuperset(of: action.capability) else {
      let refusal = Refusal.lacks(action.capability.names.first ?? "")
      throw ScopedFailure(refusal, denial: action.denial(refusal.code, origin))
    }
    guard reaches(action.secretID) else { throw ScopedFailure(code: .secretNotFound) }
  }

  /// A token for certain secrets sees no others.
  package func reaches(_ secretID: String) -> Bool {
    guard let ids = grants.secretIDs, !secretID.isEmpty else { return true }
    return ids.contains(secretID)
  }
}

extension ScopedAction {
  /// The refusal of this action as an entry of the secret's history. Ids that break the rules are left out.
  package func denial(_ code: ErrorCode, _ origin: RequestOrigin, reason: StaticString? = nil) -> AuditEvent {
    var details = AuditDetails(origin).with(code: code)
    if let reason { details = details.with(reason: reason) }
    return AuditEvent(
      name, in: scope, subject: ScopedNames.isSecretID(secretID) ? secretID : "",
      field: ScopedNames.isFieldKey(fieldKey) ? fieldKey : "", outcome: .denied, details: details.text)
  }
}
