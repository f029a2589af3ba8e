internal import KeyRing
internal import Model
internal import Store
internal import StrictJSON
internal import Threads

/// A version of a tenant's key encryption key, as operators see it.
package struct KEKView: Sendable {
  package enum State: String, Sendable {
    /// Seals and opens.
    case active
    /// Opens what it sealed.
    case readable
    /// Its key is destroyed.
    case disabled
  }

  /// `kek_` and 26 characters.
  package let id: String
  package let version: UInt32
  package let state: State
  /// Unix milliseconds.
  package let createdAt: Int64
  /// Uses of the key that were reserved so far: at least as many as there were.
  package let usesReserved: Int64

  init(_ row: KEKRow, active: UInt32) {
    id = TenantKEK.name(of: row.kekID)
    version = row.version
    state = row.isDisabled ? .disabled : row.version == active ? .active : .readable
    createdAt = row.createdAt
    usesReserved = row.wrapsReserved
  }
}

/// Why a new KEK version was made.
enum KEKReason {
  case asked
  /// `WrapLimit.rotation` uses.
  case uses
  /// The tenant's `kekMaxAgeDays`.
  case age

  var text: StaticString {
    switch self {
    case .asked: "asked"
    case .uses: "uses"
    case .age: "age"
    }
  }
}

extension Desk {
  /// Every version, oldest first.
  package func keks(tenant: String) throws(ServiceError) -> [KEKView] {
    let owner = try service.vault.verifiedTenant(tenant, in: reader)
    let vault = service.vault
    return try reader.allKEKs(of: tenant)
      .map { row throws(ServiceError) in KEKView(try vault.verified(row), active: owner.activeKEKVersion) }
  }
}

extension StoreReading {
  /// Every KEK version of a tenant, oldest first.
  func allKEKs(of tenant: String) throws(ServiceError) -> [KEKRow] {
    do {
      var rows: [KEKRow] = []
      while true {
        let page = try keks(tenant: tenant, after: rows.last?.version ?? 0, limit: 500)
        rows += page
        if page.count < 500 { return rows }
      }
    } catch { throw ServiceError(error) }
  }
}

extension StructureTransaction {
  /// Adds a KEK version that seals from now on (scoped spec, section 6.6). The versions before it open what they sealed.
  package func rotateKEK() throws -> KEKView { try rotateKEK(.asked) }

  func rotateKEK(_ reason: KEKReason) throws -> KEKView {
    let owner = try service.vault.verifiedTenant(tenant, in: store)
    let row = try service.addKEK(after: owner, reason, by: principal.acting(in: tenant), origin, in: store)
    return KEKView(row, active: row.version)
  }
}

extension Service {
  /// The next KEK version of a tenant, active from here on.
  func addKEK(
    after tenant: TenantRow, _ reason: KEKReason, by principal: Principal, _ origin: RequestOrigin, in transaction: any StoreTransaction
  ) throws(ServiceError) -> KEKRow {
    var owner = tenant
    do {
      let row = try vault.newKEK(tenant: owner.id, version: owner.activeKEKVersion + 1, at: now())
      owner.activeKEKVersion = row.version
      owner.mac = try vault.mac(of: owner)
      try transaction.insert(row)
      try transaction.update(owner)
      let details = AuditDetails(origin).with(kekVersion: row.version).with(reason: reason.text)
      let event = AuditEvent("kek.rotated", subject: TenantKEK.name(of: row.kekID), details: details.text)
      try record(event, by: principal, requestID: origin.id, in: transaction)
      rewrapping.ask()
      return row
    } catch { throw ServiceError(error) }
  }

  /// Makes a new version for each tenant whose active one is older than its `kekMaxAgeDays`. Blocks its thread.
  ///
  /// - Returns: how many were made. A tenant whose rows are damaged keeps no other waiting.
  package func rotateOldKEKs(_ desk: Desk) throws(ServiceError) -> Int {
    var made = 0
    try desk.eachTenant { tenant throws(ServiceError) in
      do throws(ServiceError) {
        if try rotateOldKEK(of: tenant.id, desk) { made += 1 }
      } catch {
        guard case .unreadable = error else { throw error }
      }
    }
    return made
  }

  private func rotateOldKEK(of tenant: String, _ desk: Desk) throws(ServiceError) -> Bool {
    let days = try vault.settings(of: tenant, in: desk.reader).kekMaxAgeDays
    guard days > 0, let active = try desk.keks(tenant: tenant).last, active.createdAt < now() - days * 86_400_000 else { return false }
    return try waited { done in
      write(
        { transaction in
          // Another may have been quicker.
          guard try self.vault.verifiedTenant(tenant, in: transaction).activeKEKVersion == active.version else { return false }
          let change = try StructureTransaction(
            of: tenant, in: transaction, by: .system(of: tenant), RequestOrigin(id: "kek-age", address: ""), self)
          _ = try change.rotateKEK(.age)
          return true
        }, completion: done)
    }
  }

  /// Starts something that completes on another thread, and waits for it.
  func waited<T: Sendable>(_ start: (@escaping @Sendable (Result<T, ServiceError>) -> Void) -> Void) throws(ServiceError) -> T {
    let done = OneTimeEvent()
    let outcome = Locked<Result<T, ServiceError>?>(nil)
    start { result in
      outcome.withLock { $0 = result }
      done.signal()
    }
    done.wait()
    guard let result = outcome.withLock({ $0 }) else { throw .unavailable }
    return try result.get()
  }
}
