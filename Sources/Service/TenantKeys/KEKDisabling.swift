internal import KeyRing
internal import Model
internal import Store

extension Service {
  /// Rows under each KEK version of a tenant, and the version that seals. Reads the tenant's rows: blocks its thread.
  package func kekUse(tenant: String) throws(ServiceError) -> (rows: [UInt32: Int64], active: UInt32) {
    do {
      let reader = try store.makeReader()
      // The active version first: what is sealed meanwhile is under it or a newer one.
      let active = try vault.verifiedTenant(tenant, in: reader).activeKEKVersion
      return (try reader.rowsByKEK(tenant: tenant), active)
    } catch { throw ServiceError(error) }
  }

  /// Destroys the key of a version that nothing needs any more; wrapped data keys of that version open no longer. Blocks its
  /// thread. Doing it again is no error.
  ///
  /// Refused while the version seals and while rows are under it. Rows only ever leave an older version, so a count of zero stays
  /// true. A data key that was minted under it and never stored is good for nothing then: its envelope is refused, and another is minted.
  ///
  /// - Returns: whether the wrapped key has left the store's files too.
  package func disableKEK(
    _ name: String, version: UInt32, tenant: String, by principal: Principal, _ origin: RequestOrigin
  ) throws(ServiceError) -> Bool {
    let (rows, active) = try kekUse(tenant: tenant)
    let vault = vault
    let isErased = try waited { done in
      store.erase(
        { transaction in
          let owner = try vault.verifiedTenant(tenant, in: transaction)
          guard let found = try transaction.kek(tenant: tenant, version: version), TenantKEK.name(of: found.kekID) == name else {
            throw ServiceError.notFound
          }
          var row = try vault.verified(found)
          if row.isDisabled { return }
          guard version < active, version != owner.activeKEKVersion else { throw ServiceError.obstructed(.kekActive) }
          if let count = rows[version] { throw ServiceError.obstructed(.kekInUse(rows: count)) }
          row.wrapped = []
          try transaction.update(vault.signed(row))
          let event = AuditEvent("kek.disabled", subject: name, details: "{\"kekVersion\":\(version)}")
          try self.record(event, by: principal.acting(in: tenant), requestID: origin.id, in: transaction)
        }, completion: { result in done(result.map(\.isErased).mapError(ServiceError.init)) })
    }
    vault.forget(tenant, version: version)
    return isErased
  }
}
