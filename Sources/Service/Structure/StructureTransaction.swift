internal import Model
internal import Store

/// One change of a tenant's structure in the writer: teams, projects, agents, their places and keys.
package struct StructureTransaction {
  let service: Service
  let store: any StoreTransaction
  let tenant: String
  let principal: Principal
  let origin: RequestOrigin
  package let quotas = QuotaLedger()

  /// Of a tenant that is there.
  init(of tenant: String, in store: any StoreTransaction, by principal: Principal, _ origin: RequestOrigin, _ service: Service) throws {
    _ = try service.vault.verifiedTenant(tenant, in: store)
    self.service = service
    self.store = store
    self.tenant = tenant
    self.principal = principal
    self.origin = origin
  }

  var now: Int64 { service.now() }
  var details: AuditDetails { AuditDetails(origin) }
  var settings: TenantSettings { get throws { try service.vault.settings(of: tenant, in: store) } }
  /// As `createdBy` says it.
  var maker: String { principal.keyID.isEmpty ? principal.actor.rawValue : "key_" + principal.keyID }

  func record(_ action: StaticString, _ subject: String, _ details: AuditDetails? = nil, rows: [RowChange] = []) throws {
    let event = AuditEvent(action, subject: subject, details: (details ?? self.details).text, rows: rows)
    try service.record(event, by: principal.acting(in: tenant), requestID: origin.id, in: store)
  }
}

extension Service {
  /// Runs a change of a tenant's structure in the writer, with the answer that it renders kept under `claim`; `completion` comes once
  /// it is durable.
  package func structure(
    of tenant: String, by principal: Principal, _ origin: RequestOrigin, once claim: IdempotencyClaim?,
    _ body: @escaping @Sendable (StructureTransaction) throws -> StoredAnswer,
    completion: @escaping @Sendable (Result<StoredAnswer, ScopedFailure>) -> Void
  ) {
    answeredOnce(claim, by: principal.acting(in: tenant), origin) { transaction in
      let change = try StructureTransaction(of: tenant, in: transaction, by: principal, origin, self)
      return try body(change).warning(of: change.quotas)
    } completion: {
      completion($0)
    }
  }

  /// Runs a change whose answer may hold a key, so that it is kept nowhere; `completion` comes once it is durable.
  package func structure<T: Sendable>(
    of tenant: String, by principal: Principal, _ origin: RequestOrigin,
    _ body: @escaping @Sendable (StructureTransaction) throws -> T, completion: @escaping @Sendable (Result<T, ScopedFailure>) -> Void
  ) {
    scopedWrite(by: principal.acting(in: tenant), origin) { transaction in
      try body(try StructureTransaction(of: tenant, in: transaction, by: principal, origin, self))
    } completion: {
      completion($0)
    }
  }
}
