internal import HTTPMessages
internal import Service

/// The operator surface. `default` in the place of a tenant's id means the default tenant.
enum AdminRoute: Sendable {
  case metrics
  case status
  case tenants, createTenant, tenant, renameTenant, deleteTenant
  case admins, createAdmin, createAdminKey, revokeAdmin
  case keys, createKey, revokeKey, rotateKey
  case auditEntries, auditHead, verifyAudit, exportAudit, trimAudit
  case importOpenHands, exportOpenHands
  case wireKeys, rotateWireKey, retireWireKey
  case backUp, verify
  case root, rewrapRoot
  case sealStatus, seal, unseal
  case structure(StructureRoute)
  case conversations, revokeConversation

  struct Entry: Sendable {
    let methods: [HTTPMethod]
    let pattern: StaticString
    let route: AdminRoute
  }

  /// Whether a role may take the route: auditors read, operators change, and what is gone for good is the owner's.
  func admits(_ role: OperatorRole, _ method: HTTPMethod) -> Bool {
    switch (role, self) {
    case (.owner, _): true
    case (_, .admins), (_, .createAdmin), (_, .createAdminKey), (_, .revokeAdmin): false
    case (.operator, .structure(.purgeSecret)), (.operator, .structure(.disableKEK)), (.operator, .deleteTenant), (.operator, .trimAudit),
      (.operator, .rewrapRoot), (.operator, .seal), (.operator, .unseal):
      false
    case (.operator, _): true
    case (.auditor, .verifyAudit): true
    case (.auditor, _): method == .get || method == .head
    }
  }

  static let table =
    processRoutes + StructureRoute.table.map { Entry(methods: [$0.method], pattern: $0.pattern, route: .structure($0.route)) }

  private static let processRoutes: [Entry] = [
    Entry(methods: [.get], pattern: "/metrics", route: .metrics),
    Entry(methods: [.get], pattern: "/admin/v1/status", route: .status),
    Entry(methods: [.get], pattern: "/admin/v1/admins", route: .admins),
    Entry(methods: [.post], pattern: "/admin/v1/admins", route: .createAdmin),
    Entry(methods: [.delete], pattern: "/admin/v1/admins/{id}", route: .revokeAdmin),
    Entry(methods: [.post], pattern: "/admin/v1/admins/{id}/keys", route: .createAdminKey),
    Entry(methods: [.get], pattern: "/admin/v1/tenants", route: .tenants),
    Entry(methods: [.post], pattern: "/admin/v1/tenants", route: .createTenant),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}", route: .tenant),
    Entry(methods: [.patch], pattern: "/admin/v1/tenants/{tenant}", route: .renameTenant),
    Entry(methods: [.delete], pattern: "/admin/v1/tenants/{tenant}", route: .deleteTenant),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}/keys", route: .keys),
    Entry(methods: [.post], pattern: "/admin/v1/tenants/{tenant}/keys", route: .createKey),
    Entry(methods: [.delete], pattern: "/admin/v1/keys/{id}", route: .revokeKey),
    Entry(methods: [.post], pattern: "/admin/v1/keys/{id}/rotate", route: .rotateKey),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}/audit", route: .auditEntries),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}/audit/head", route: .auditHead),
    Entry(methods: [.get, .post], pattern: "/admin/v1/tenants/{tenant}/audit/verify", route: .verifyAudit),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}/audit/export", route: .exportAudit),
    Entry(methods: [.post], pattern: "/admin/v1/tenants/{tenant}/audit/trim", route: .trimAudit),
    Entry(methods: [.post], pattern: "/admin/v1/tenants/{tenant}/import/openhands", route: .importOpenHands),
    Entry(methods: [.post], pattern: "/admin/v1/tenants/{tenant}/export/openhands", route: .exportOpenHands),
    Entry(methods: [.get], pattern: "/admin/v1/tenants/{tenant}/conversations", route: .conversations),
    Entry(methods: [.delete], pattern: "/admin/v1/tenants/{tenant}/conversations/{id}", route: .revokeConversation),
    Entry(methods: [.get], pattern: "/admin/v1/root", route: .root),
    Entry(methods: [.post], pattern: "/admin/v1/root/rewrap", route: .rewrapRoot),
    Entry(methods: [.get], pattern: "/admin/v1/seal", route: .sealStatus),
    Entry(methods: [.post], pattern: "/admin/v1/seal", route: .seal),
    Entry(methods: [.post], pattern: "/admin/v1/unseal", route: .unseal),
    Entry(methods: [.get], pattern: "/admin/v1/wire-keys", route: .wireKeys),
    Entry(methods: [.post], pattern: "/admin/v1/wire-keys/rotate", route: .rotateWireKey),
    Entry(methods: [.delete], pattern: "/admin/v1/wire-keys/{id}", route: .retireWireKey),
    Entry(methods: [.post], pattern: "/admin/v1/backup", route: .backUp),
    Entry(methods: [.post], pattern: "/admin/v1/verify", route: .verify),
  ]
}
