internal import Ciphers
internal import KeyRing
internal import Model
package import Store

/// Links events to the chains of their tenants, inside the transactions of their effects.
struct AuditRecorder {
  let root: RootKey
  /// Unix milliseconds.
  let now: @Sendable () -> Int64

  func record(_ event: AuditEvent, by principal: Principal, requestID: String, in transaction: any StoreTransaction) throws(ServiceError) {
    do {
      let head = try transaction.auditHead(tenant: principal.tenant)
      var row = AuditRow(
        tenant: principal.tenant, sequence: (head?.sequence ?? 0) + 1, at: UTCTime(unixMicroseconds: now() * 1000).text,
        actorType: principal.actor.rawValue, actorID: "", keyID: principal.keyID, action: "\(event.action)", scope: "", scopeID: "",
        secretID: event.subject, fieldKey: "", revision: event.revision.map(String.init) ?? "", outcome: event.outcome.rawValue,
        requestID: requestID, details: event.storedDetails, hash: [], mac: [])
      row.hash = AuditLink.hash(row.fields, after: head?.hash)
      row.mac = try root.auditMAC(row.hash)
      try transaction.append(row)
    } catch {
      // Whatever keeps the entry from being written: no audit, no answer.
      if case .storageFull = ServiceError(error) { throw .storageFull }
      throw .unavailable
    }
  }
}

extension Service {
  /// Links `event` to the chain of the principal's tenant, inside the transaction of its effect.
  func record(_ event: AuditEvent, by principal: Principal, requestID: String, in transaction: any StoreTransaction) throws(ServiceError) {
    try AuditRecorder(root: vault.root, now: now).record(event, by: principal, requestID: requestID, in: transaction)
  }

  /// Records an exposure or a refusal. With `beforeReply`, `completion` comes once the entry is durable; with
  /// `batched` it comes at once and the entry follows in the next commit.
  package func record(
    _ event: AuditEvent, by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    let waits = options.exposureAudit == .beforeReply
    write({ try self.record(event, by: principal, requestID: requestID, in: $0) }, completion: { if waits { completion($0) } })
    if !waits { completion(.success(())) }
  }

  /// Now, for documents and audit entries.
  var time: UTCTime { UTCTime(unixMicroseconds: now() * 1000) }
}

extension AuditRow {
  /// The hashed columns in their order (scoped spec section 7).
  var fields: AuditLink.Fields {
    AuditLink.Fields(
      sequence: UInt64(bitPattern: sequence),
      texts: [
        tenant, at, actorType, actorID, keyID, action, scope, scopeID, secretID, fieldKey, revision, outcome, requestID, details,
      ])
  }
}

/// What a walk over a chain found.
package struct AuditVerdict: Sendable, Equatable {
  package let entries: Int64
  /// The first entry that does not fit; nil when all do.
  package let firstBad: Int64?
  package var isIntact: Bool { firstBad == nil }
}

extension Desk {
  package func auditEntries(tenant: String, after sequence: Int64, limit: Int) throws(ServiceError) -> [AuditRow] {
    do { return try reader.auditEntries(tenant: tenant, after: sequence, limit: limit) } catch { throw ServiceError(error) }
  }

  package func auditHead(tenant: String) throws(ServiceError) -> AuditHead? {
    do { return try reader.auditHead(tenant: tenant) } catch { throw ServiceError(error) }
  }

  /// Walks the whole chain: sequence without gaps, every link, every MAC. A cut tail shows only against a head kept elsewhere.
  package func verifyAudit(tenant: String) throws(ServiceError) -> AuditVerdict {
    var previous = AuditHead(sequence: 0, hash: [])
    while true {
      let rows = try auditEntries(tenant: tenant, after: previous.sequence, limit: 500)
      for row in rows {
        guard try service.fits(row, after: previous) else {
          return AuditVerdict(entries: previous.sequence, firstBad: previous.sequence + 1)
        }
        previous = AuditHead(sequence: row.sequence, hash: row.hash)
      }
      if rows.count < 500 { return AuditVerdict(entries: previous.sequence, firstBad: nil) }
    }
  }
}

extension Service {
  func fits(_ row: AuditRow, after previous: AuditHead) throws(ServiceError) -> Bool {
    do {
      let hash = AuditLink.hash(row.fields, after: previous.sequence == 0 ? nil : previous.hash)
      return try row.sequence == previous.sequence + 1 && constantTimeEqual(hash, row.hash)
        && constantTimeEqual(vault.root.auditMAC(hash), row.mac)
    } catch { throw ServiceError(error) }
  }
}
