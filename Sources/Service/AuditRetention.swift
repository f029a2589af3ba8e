internal import KeyRing
internal import Model
internal import Store

/// How far a chain is to be cut.
package struct AuditCut: Sendable {
  let through: AuditMark
  let count: Int64
  /// What stood there before; nobody else may have cut meanwhile.
  let checkpoint: [UInt8]?
  package let hasMore: Bool
}

/// What was cut.
package struct AuditTrimming: Sendable {
  /// 0 when there was nothing that old.
  package let removed: Int64
  /// The last entry that was cut by now; 0 when none.
  package let through: Int64
  /// More is that old: one cut has a limit.
  package let hasMore: Bool
}

extension Desk {
  /// Entries one cut removes at most, so that writes do not wait for it for long.
  private static let cutLimit: Int64 = 50_000

  /// The longest prefix of the chain that is older than `before`, proven link by link: a cut shall hide nothing.
  ///
  /// - Parameter before: RFC 3339 in UTC, or its beginning: entries with an earlier time are cut up to the first that has none.
  package func auditCut(tenant: String, before: String) throws(ServiceError) -> AuditCut? {
    let checkpoint = try auditCheckpoint(tenant: tenant)
    var walk = AuditWalk(tenant: tenant, checkpoint: checkpoint, root: service.vault.root)
    var (seen, hasMore): (Int64, Bool) = (0, false)
    try self.walk(&walk, tenant: tenant) { row in
      guard row.at < before else { return false }
      hasMore = seen == Self.cutLimit
      seen += 1
      return !hasMore
    }
    if let bad = walk.firstBad { throw .obstructed(.auditDoesNotFit(bad)) }
    return walk.entries == 0 ? nil : AuditCut(through: walk.last, count: walk.entries, checkpoint: checkpoint, hasMore: hasMore)
  }
}

extension Service {
  /// Cuts a prefix of the chain and leaves a checkpoint. The cut is the newest entry of the chain, so that never all is cut.
  package func trimAudit(
    _ cut: AuditCut, before: String, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<AuditTrimming, ServiceError>) -> Void
  ) {
    let tenant = principal.tenant
    write(
      { transaction in
        let (sequence, hash) = (cut.through.sequence, cut.through.hash)
        let row = try transaction.auditEntries(tenant: tenant, after: sequence - 1, limit: 1).first
        guard try transaction.auditCheckpoint(tenant: tenant) == cut.checkpoint, row?.sequence == sequence, row?.hash == hash else {
          throw ServiceError.conflict
        }
        let digits = hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let details = "{\"before\":\"\(before)\",\"count\":\(cut.count),\"hash\":\"\(digits)\",\"sequence\":\(sequence)}"
        try self.record(AuditEvent("audit.trim", details: details), by: principal, requestID: requestID, in: transaction)
        let checkpoint = AuditCheckpoint(sequence: sequence, hash: hash, at: self.now(), count: cut.count)
        try transaction.trimAudit(
          tenant: tenant, through: sequence, checkpoint: checkpoint.bytes(tenant: tenant, root: self.vault.root))
        return AuditTrimming(removed: cut.count, through: sequence, hasMore: cut.hasMore)
      }, completion: completion)
  }
}
