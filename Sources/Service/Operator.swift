internal import KeyRing
package import Store

extension Desk {
  /// The tenant's row after its MAC was checked; `notFound` when there is none.
  package func tenant(_ id: String) throws(ServiceError) -> TenantRow { try service.vault.verifiedTenant(id, in: reader) }

  /// The same, also of a deleted tenant.
  package func tenantEver(_ id: String) throws(ServiceError) -> TenantRow { try service.vault.tenantEver(id, in: reader) }
}

extension Service {
  /// The public id of the root key in use.
  package var rootKeyID: String { vault.rootID }
}
