internal import Ciphers
package import KeyRing
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
        actorType: principal.actor.rawValue,
        actorID: principal.actorID, keyID: principal.keyID, action: "\(event.action)", scope: event.scope?.kind.rawValue ?? "",
        scopeID: event.scope?.id ?? "", secretID: event.subject, fieldKey: event.fieldKey,
        revision: event.revision.map(String.init) ?? "", outcome: event.outcome.rawValue, requestID: requestID,
        details: event.storedDetails,
        hash: [], mac: [])
      row.hash = AuditLink.hash(row, after: head?.hash)
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
    // Whatever time an entry tells has been: data keys do not age by an earlier one.
    _ = steadyClock.time(now: now())
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

extension AuditRow: AuditLinked {
  package var linkSequence: UInt64 { UInt64(bitPattern: sequence) }

  package func appendTexts(to link: inout AuditLink) {
    link.append(tenant)
    link.append(at)
    link.append(actorType)
    link.append(actorID)
    link.append(keyID)
    link.append(action)
    link.append(scope)
    link.append(scopeID)
    link.append(secretID)
    link.append(fieldKey)
    link.append(revision)
    link.append(outcome)
    link.append(requestID)
    link.append(details)
  }
}
