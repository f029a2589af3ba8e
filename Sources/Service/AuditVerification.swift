internal import KeyRing
package import Store

/// What a walk over a chain found.
package struct AuditVerdict: Sendable, Equatable {
  /// Entries that fit, from the start or from the checkpoint on.
  package let entries: Int64
  /// The first entry that does not fit; nil when all do.
  package let firstBad: Int64?
  /// The last entry that was cut; nil when none was.
  package let cutThrough: Int64?
  /// The head to compare with is older than the cut.
  package let headIsCut: Bool
  package var isIntact: Bool { firstBad == nil }

  init(_ walk: AuditWalk) {
    entries = walk.entries
    firstBad = walk.firstBad
    cutThrough = walk.checkpoint?.sequence
    headIsCut = walk.markIsCut
  }
}

extension Desk {
  package func auditEntries(tenant: String, after sequence: Int64, limit: Int) throws(ServiceError) -> [AuditRow] {
    do { return try reader.auditEntries(tenant: tenant, after: sequence, limit: limit) } catch { throw ServiceError(error) }
  }

  package func auditHead(tenant: String) throws(ServiceError) -> AuditHead? {
    do { return try reader.auditHead(tenant: tenant) } catch { throw ServiceError(error) }
  }

  package func auditCheckpoint(tenant: String) throws(ServiceError) -> [UInt8]? {
    do { return try reader.auditCheckpoint(tenant: tenant) } catch { throw ServiceError(error) }
  }

  package func auditRootChange(tenant: String) throws(ServiceError) -> [UInt8]? {
    do { return try reader.auditRootChange(tenant: tenant) } catch { throw ServiceError(error) }
  }

  /// Walks the whole chain. A tail that was cut off shows only against a head that was kept elsewhere.
  package func verifyAudit(tenant: String, head: AuditHead? = nil) throws(ServiceError) -> AuditVerdict {
    let mark = head.map { AuditMark(sequence: $0.sequence, hash: $0.hash) }
    while true {
      let (checkpoint, change) = (try auditCheckpoint(tenant: tenant), try auditRootChange(tenant: tenant))
      var walk = AuditWalk(tenant: tenant, checkpoint: checkpoint, rootChange: change, roots: try service.vault.roots, mark: mark)
      try self.walk(&walk, tenant: tenant) { _ in true }
      walk.end()
      if walk.firstBad == nil { return AuditVerdict(walk) }
      // A cut in the meantime took entries from under the walk, and a change of the root key took the keys.
      let (now, changeNow) = (try auditCheckpoint(tenant: tenant), try auditRootChange(tenant: tenant))
      if now == checkpoint, changeNow == change { return AuditVerdict(walk) }
    }
  }

  /// Takes entries as long as they fit and `continues` says so. The walk begins before the first entry that is there.
  func walk(_ walk: inout AuditWalk, tenant: String, while continues: (AuditRow) -> Bool) throws(ServiceError) {
    var cursor = Int64.min
    while true {
      let rows = try auditEntries(tenant: tenant, after: cursor, limit: 500)
      for row in rows {
        guard continues(row), walk.take(row, hash: row.hash, mac: row.mac) else { return }
        cursor = row.sequence
      }
      if rows.count < 500 { return }
    }
  }
}
