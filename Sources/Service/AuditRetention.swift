internal import KeyRing
internal import Model
internal import Store
internal import Threads

/// How far a chain is to be cut.
package struct AuditCut: Sendable {
  let through: AuditMark
  let count: Int64
  /// What stood there before; nobody else may have cut meanwhile.
  let checkpoint: [UInt8]?
  /// What the whole chain says of the rows, up to its head of that moment.
  let chain: ChainState
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

  /// The longest prefix of the chain that is older than `before`. The whole chain is proven, link by link: a cut shall hide
  /// nothing.
  ///
  /// - Parameter before: RFC 3339 in UTC, or its beginning: entries with an earlier time are cut up to the first that has none.
  package func auditCut(tenant: String, before: String) throws(ServiceError) -> AuditCut? {
    let checkpoint = try auditCheckpoint(tenant: tenant)
    var walk = AuditWalk(
      tenant: tenant, checkpoint: checkpoint, rootChange: try auditRootChange(tenant: tenant), roots: try service.vault.roots)
    var chain = ChainState(tenant: tenant, isDefault: tenant == service.defaultTenant, kept: nil)
    if let checkpoint = walk.checkpoint { chain.resume(behind: AuditHead(sequence: checkpoint.sequence, hash: checkpoint.hash)) }
    var through: AuditMark?
    var (count, isOld, hasMore): (Int64, Bool, Bool) = (0, true, false)
    try self.walk(&walk, tenant: tenant) { row in
      isOld = isOld && row.at < before
      if isOld, count < Self.cutLimit {
        count += 1
        through = AuditMark(sequence: row.sequence, hash: row.hash)
      } else if isOld {
        hasMore = true
      }
      chain.take(row)
      return true
    }
    walk.end()
    if let bad = walk.firstBad { throw .obstructed(.auditDoesNotFit(bad)) }
    return through.map { AuditCut(through: $0, count: count, checkpoint: checkpoint, chain: chain, hasMore: hasMore) }
  }
}

extension Service {
  /// Cuts what is older than so many days off every tenant's chain, those of deleted ones among them. Blocks its thread.
  ///
  /// - Returns: how many entries went.
  package func trimAudits(keepingDays days: Int) throws(ServiceError) -> Int64 {
    let before = UTCTime(unixMicroseconds: (now() - Int64(days) * 86_400_000) * 1000).text
    let desk: Desk
    do { desk = try Desk(self) } catch { throw ServiceError(error) }
    defer { Self.dropThreadKeys() }
    var removed: Int64 = 0
    try desk.eachTenantEver { tenant throws(ServiceError) in
      while let cut = try desk.auditCut(tenant: tenant.id, before: before) {
        let trimming = try waited { done in
          trimAudit(cut, before: before, by: .system(of: tenant.id), requestID: "audit-retention", completion: done)
        }
        removed += trimming.removed
        guard cut.hasMore else { break }
      }
    }
    return removed
  }

  /// Rows that one entry names at most.
  private static let carriedRows = 200

  /// Cuts a prefix of the chain and leaves a checkpoint. The cut is an entry of the chain, so that never all is cut, and
  /// what only the prefix said of the rows is said again behind it.
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
        var chain = cut.chain
        // What came since the proof; the links of these were made a moment ago.
        for row in try transaction.auditEntries(tenant: tenant, after: chain.head.sequence, limit: .max) { chain.take(row) }
        let digits = hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let details = "{\"before\":\"\(before)\",\"count\":\(cut.count),\"hash\":\"\(digits)\",\"sequence\":\(sequence)}"
        try self.record(AuditEvent("audit.trim", details: details), by: principal, requestID: requestID, in: transaction)
        var carried = chain.rows(namedUpTo: sequence)[...]
        while !carried.isEmpty {
          let event = AuditEvent("audit.carry", rows: Array(carried.prefix(Self.carriedRows)))
          try self.record(event, by: principal, requestID: requestID, in: transaction)
          carried = carried.dropFirst(Self.carriedRows)
        }
        let checkpoint = AuditCheckpoint(sequence: sequence, hash: hash, at: self.now(), count: cut.count)
        try transaction.trimAudit(
          tenant: tenant, through: sequence, checkpoint: checkpoint.bytes(tenant: tenant, root: self.vault.root))
        return AuditTrimming(removed: cut.count, through: sequence, hasMore: cut.hasMore)
      }, completion: completion)
  }
}
