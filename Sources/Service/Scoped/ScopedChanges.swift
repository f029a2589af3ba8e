internal import Ciphers
internal import KeyRing
internal import Model
package import SecretMemory
internal import Store
internal import Threads

/// A change that its sender may repeat: who, where, and with which body.
package struct IdempotencyClaim: Sendable {
  let id: [UInt8]
  let bodyDigest: [UInt8]

  /// nil without an Idempotency-Key, which holds 1 to 128 visible ASCII characters.
  ///
  /// - Parameters:
  ///   - caller: the id of the caller's key.
  ///   - query: as it came; what a request asks for is its body and this.
  package init?(_ key: [UInt8]?, by caller: String, _ method: String, path: String, query: String, body: SecretBytes)
    throws(ScopedFailure)
  {
    guard let key else { return nil }
    guard (1...128).contains(key.count), key.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw ScopedFailure(.invalid("/headers/Idempotency-Key", "1 to 128 visible ASCII characters"))
    }
    id = SHA256.digest([Array(caller.utf8), Array(method.utf8), Array(path.utf8), key].reduce(into: []) { $0 += $1 + [0] })
    bodyDigest = SHA256.digest(body.withBytes { SHA256.digest($0) } + query.utf8)
  }
}

/// The answer of a change, rendered inside its transaction so that a repetition gets the same bytes. Never holds a value or key.
package struct StoredAnswer: Sendable {
  package let status: Int
  /// With its quotes; nil when the answer has none.
  package let tag: String?
  package let body: [UInt8]
  /// From 80 % of a quota on; not kept.
  package private(set) var warning: String?

  package init(status: Int = 200, tag: String? = nil, body: [UInt8]) {
    self.status = status
    self.tag = tag
    self.body = body
  }

  func warning(of quotas: QuotaLedger) -> StoredAnswer {
    var answer = self
    answer.warning = quotas.warning
    return answer
  }
}

extension Service {
  /// 24 h in milliseconds: how long an answer is kept for repetitions.
  private static let answerAge: Int64 = 86_400_000

  /// Runs a change in the writer, with the answer kept under `claim`. `completion` comes once it is durable; a refusal that
  /// belongs into the audit chain is written there first.
  package func change(
    by caller: AgentCaller, _ origin: RequestOrigin, once claim: IdempotencyClaim?,
    _ body: @escaping @Sendable (ScopedTransaction) throws -> StoredAnswer,
    completion: @escaping @Sendable (Result<StoredAnswer, ScopedFailure>) -> Void
  ) {
    answeredOnce(claim, by: caller.principal, origin) { transaction in
      let change = try ScopedTransaction(service: self, store: transaction, caller: caller, origin: origin)
      return try body(change).warning(of: change.quotas)
    } completion: {
      completion($0)
    }
  }

  /// A write of the principal's tenant whose answer is kept under `claim`; a repetition gets it without another write.
  func answeredOnce(
    _ claim: IdempotencyClaim?, by principal: Principal, _ origin: RequestOrigin,
    _ body: @escaping @Sendable (any StoreTransaction) throws -> StoredAnswer,
    completion: @escaping @Sendable (Result<StoredAnswer, ScopedFailure>) -> Void
  ) {
    if let claim, !running.withLock({ $0.insert(claim.id).inserted }) {
      return completion(.failure(ScopedFailure(code: .idempotencyInProgress)))
    }
    scopedWrite(by: principal, origin) { transaction in
      if let claim, let known = try self.knownAnswer(claim, principal.tenant, in: transaction) { return known }
      let answer = try body(transaction)
      if let claim { try self.keep(answer, claim, principal.tenant, in: transaction) }
      return answer
    } completion: { result in
      if let claim { self.running.withLock { _ = $0.remove(claim.id) } }
      completion(result)
    }
  }

  private func knownAnswer(_ claim: IdempotencyClaim, _ tenant: String, in transaction: any StoreTransaction) throws -> StoredAnswer? {
    guard let stored = try transaction.idempotentAnswer(tenant: tenant, id: claim.id) else { return nil }
    let row = try vault.verified(stored)
    guard row.createdAt > now() - Self.answerAge else { return nil }
    guard constantTimeEqual(row.bodyDigest, claim.bodyDigest) else { throw ScopedFailure(code: .idempotencyKeyReused) }
    return StoredAnswer(status: Int(row.status), tag: row.entityTag.isEmpty ? nil : row.entityTag, body: row.body)
  }

  private func keep(_ answer: StoredAnswer, _ claim: IdempotencyClaim, _ tenant: String, in transaction: any StoreTransaction) throws {
    let time = now()
    try transaction.forgetAnswers(tenant: tenant, before: time - Self.answerAge, limit: 16)
    let row = IdempotencyRow(
      tenant: tenant, id: claim.id, bodyDigest: claim.bodyDigest, status: Int64(answer.status), entityTag: answer.tag ?? "",
      body: answer.body, createdAt: time, mac: [])
    try transaction.put(vault.signed(row))
  }

  /// As `write`, for what fails with a `ScopedFailure`.
  func scopedWrite<T: Sendable>(
    by principal: Principal, _ origin: RequestOrigin, _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<T, ScopedFailure>) -> Void
  ) {
    store.write(body) { result in
      switch result {
      case .success(let value): completion(.success(value))
      case .failure(let error): self.refuse(ScopedFailure(error), by: principal, origin) { completion(.failure($0)) }
      }
    }
  }

  /// Records a refusal that belongs into the chain, then says so. What cannot be recorded is a failure of its own.
  package func refuse(
    _ failure: ScopedFailure, by principal: Principal, _ origin: RequestOrigin, completion: @escaping @Sendable (ScopedFailure) -> Void
  ) {
    guard let denial = failure.denial else { return completion(failure) }
    record(denial, by: principal, requestID: origin.id) { result in
      switch result {
      case .success: completion(failure)
      case .failure(let error): completion(ScopedFailure(error))
      }
    }
  }
}

/// One change of the scoped dialect in the writer: what every use case needs at hand.
package struct ScopedTransaction {
  let service: Service
  let store: any StoreTransaction
  let caller: AgentCaller
  let origin: RequestOrigin
  /// No change of the scoped dialect changes them.
  let settings: TenantSettings
  package let quotas = QuotaLedger()

  init(service: Service, store: any StoreTransaction, caller: AgentCaller, origin: RequestOrigin) throws {
    self.service = service
    self.store = store
    self.caller = caller
    self.origin = origin
    settings = try service.vault.settings(of: caller.tenant, in: store)
  }

  var now: Int64 { service.now() }
  var details: AuditDetails { AuditDetails(origin) }

  func record(_ event: AuditEvent) throws { try service.record(event, by: caller.principal, requestID: origin.id, in: store) }

  /// The row with its MAC, under the tenant's active keys.
  func put(_ row: ScopedSecretRow) throws -> ScopedSecretRow {
    let row = try service.signed(row, in: store)
    try store.put(row)
    return row
  }

  /// The same after a change of fields alone.
  func updateHead(_ row: ScopedSecretRow) throws -> ScopedSecretRow {
    let row = try service.signed(row, in: store)
    try store.updateHead(row)
    return row
  }

  /// With its MAC, under the version of the keys that it is sealed with.
  func update(_ row: FieldRow) throws {
    var row = row
    row.mac = try service.vault.keys(tenant: row.tenant, version: row.kekVersion, in: store).mac(of: row)
    try store.update(row)
  }

  /// The row after a change by the caller, which makes these versions of fields: one revision on.
  func advanced(_ row: ScopedSecretRow, setting fields: [(key: String, version: UInt64)] = []) throws -> ScopedSecretRow {
    var row = row
    if fields.isEmpty {
      row = try service.naming(row, in: store)
    } else {
      if row.fieldVersions.isEmpty { row.fieldVersions = NewestVersions.text(try self.fields(of: row, withValues: false)) }
      guard var versions = NewestVersions(row.fieldVersions) else { throw ServiceError.unreadable }
      let known = versions.entries.count
      for (key, version) in fields { versions.set(key, version) }
      let count = versions.entries.count
      // Stores from before schema 7 may hold more.
      if count > known { try quotas.spend("fieldKeysPerSecret", Int64(count), of: NewestVersions.limit) }
      row.fieldVersions = versions.text
    }
    row.revision += 1
    row.updatedAt = now
    row.updatedBy = caller.agentID
    return row
  }
}
