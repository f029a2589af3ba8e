internal import KeyRing
internal import Store

extension Service {
  /// Wraps that are reserved at once: a crash skips up to this many numbers and never repeats one.
  private static let reservation: Int64 = 4096

  /// The keys for sealing one row of `tenant`, with the use counted before it happens.
  ///
  /// The count is in the row of the KEK version, reserved in blocks inside the same transaction. At
  /// `WrapLimit.rotation` uses a new version is added and used from then on (design sections 5 and 12).
  func sealingKeys(tenant: String, in transaction: any StoreTransaction) throws(ServiceError) -> TenantKeys {
    let owner = try vault.verifiedTenant(tenant, in: transaction)
    do {
      // Before anything is made of the row: what is not proven gets no new MAC.
      var kek = try vault.opened(tenant: tenant, version: owner.activeKEKVersion, in: transaction)
      if kek.row.wrapsReserved >= wrapLimit {
        let new = try addKEK(after: owner, .uses, by: .system(of: tenant), RequestOrigin(id: "kek-uses", address: ""), in: transaction)
        kek = try vault.opened(tenant: tenant, version: new.version, in: transaction)
      }
      if wrapCounter.needsReservation(tenant: tenant, version: kek.row.version, reserved: kek.row.wrapsReserved) {
        var row = kek.row
        row.wrapsReserved += Self.reservation
        try transaction.update(vault.signed(row))
      }
      return kek.keys
    } catch { throw ServiceError(error) }
  }
}

extension Vault {
  /// A fresh KEK for `tenant`, wrapped by the root key.
  func newKEK(tenant: String, version: UInt32, at now: Int64) throws(ServiceError) -> KEKRow {
    let root = try root
    do {
      let kek = try TenantKEK.generate(tenant: tenant, version: version)
      return try signed(
        KEKRow(
          tenant: tenant, version: version, kekID: kek.id, rootKeyID: root.id, wrapped: try kek.wrapped(by: root), createdAt: now,
          wrapsReserved: 0, mac: []))
    } catch { throw .internalFailure }
  }
}
