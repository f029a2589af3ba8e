internal import KeyRing
package import Store

/// Checks everything that is stored: the file, every key, every MAC, every sealed row, every audit chain, and that each row
/// is the one its chain names last. Changes nothing, and may run beside a server that writes.
///
/// It walks in short turns. Each turn first reads what the chain has gained, then one page of rows in the same snapshot, so
/// that the two fit together although neither stands still.
package final class Verification {
  static let page = 500

  let service: Service
  let reader: any StoreReader
  var report = VerificationReport()
  /// What is still to be found, by tenant.
  private var heads: [String: AuditHead]
  private let sealings: Int

  /// - Parameter heads: heads that were told earlier and kept elsewhere, by tenant: each must be in its chain.
  package init(_ service: Service, heads: [String: AuditHead] = [:]) throws(ServiceError) {
    self.service = service
    self.heads = heads
    sealings = service.vault.sealings
    do { reader = try service.store.makeReader() } catch { throw ServiceError(error) }
  }

  package func run() throws(ServiceError) -> VerificationReport {
    try noting("store", tenant: "") { () throws(ServiceError) in
      for line in try stored({ () throws(StoreError) in try reader.damage() }) { report.add(.damaged, line, tenant: "") }
    }
    try noting("records", tenant: "") { () throws(ServiceError) in try checkIdentity() }
    try noting("tenants", tenant: "") { () throws(ServiceError) in
      var last = ""
      while true {
        let rows = try stored { () throws(StoreError) in try reader.tenants(after: last, limit: Self.page) }
        for row in rows {
          try check(row)
          last = row.id
        }
        if rows.count < Self.page { return }
      }
    }
    // What did not open for want of the root key is no finding.
    guard service.vault.sealings == sealings else { throw .sealed }
    for tenant in heads.keys.sorted() { report.add(.cutOff, "audit/\(heads[tenant]?.sequence ?? 0)", tenant: tenant) }
    return report
  }

  // MARK: - One tenant

  private func check(_ tenant: TenantRow) throws(ServiceError) {
    report.tenants += 1
    var chain = ChainState(tenant: tenant.id, isDefault: tenant.id == service.defaultTenant, kept: heads[tenant.id])
    try noting("audit", tenant: tenant.id) { () throws(ServiceError) in
      try turn(&chain) { _ throws(ServiceError) in try checkKeys(of: tenant.id) }
    }
    try noting("api_keys", tenant: tenant.id) { () throws(ServiceError) in try checkAPIKeys(&chain) }
    try noting("secrets", tenant: tenant.id) { () throws(ServiceError) in try checkSecrets(&chain) }
    try noting("documents", tenant: tenant.id) { () throws(ServiceError) in try checkDocuments(&chain) }
    try noting("scoped_secrets", tenant: tenant.id) { () throws(ServiceError) in try checkScoped(&chain) }
    try noting("audit", tenant: tenant.id) { () throws(ServiceError) in
      try turn(&chain) { chain throws(ServiceError) in
        try checkUnseen(&chain)
        try checkSequence(chain)
      }
    }
    let head = chain.head.sequence == 0 ? nil : chain.head
    report.chains.append(StoreCopy.Chain(tenant: tenant.id, name: tenant.name, head: head))
    report.auditEntries += chain.entries
    if chain.kept == nil { heads[tenant.id] = nil }
  }

  /// The tenant's row and its KEKs. The newest KEK is the active one: an older tenant row put back names an older one.
  private func checkKeys(of id: String) throws(ServiceError) {
    guard let tenant = try stored({ () throws(StoreError) in try reader.tenant(id) }) else { return }
    let place = "tenants/" + id
    try prove(tenant, place, id)
    var newest: UInt32 = 0
    var rows: [UInt32: Int64]?
    while true {
      let keks = try stored { () throws(StoreError) in try reader.keks(tenant: id, after: newest, limit: Self.page) }
      for kek in keks {
        let place = "keks/\(kek.version)"
        if try !service.vault.verify(kek) {
          report.add(.changed, place, tenant: id)
        } else if try !isSound(kek, of: tenant, &rows) {
          report.add(.doesNotOpen, place, tenant: id)
        }
        newest = kek.version
      }
      if keks.count < Self.page { break }
    }
    if newest != tenant.activeKEKVersion { report.add(.notTheNewest, place, tenant: id) }
  }

  /// Only a version that nothing needs may have lost its key.
  ///
  /// - Parameter rows: how many there are of each version, once somebody counted.
  private func isSound(_ kek: KEKRow, of tenant: TenantRow, _ rows: inout [UInt32: Int64]?) throws(ServiceError) -> Bool {
    guard kek.isDisabled else { return (try? service.vault.unwrap(kek)) != nil }
    if rows == nil { rows = try stored { () throws(StoreError) in try reader.rowsByKEK(tenant: tenant.id) } }
    return kek.version != tenant.activeKEKVersion && rows?[kek.version] == nil
  }

  /// Who the store is: read at the start, and wanted at the next one.
  private func checkIdentity() throws(ServiceError) {
    let (id, check, tenant) = try stored { () throws(StoreError) in
      (try reader.record("store-id"), try reader.record("key-check"), try reader.record("default-tenant"))
    }
    if let id, let check, try service.vault.roots.verify(keyCheck: check, storeID: id), tenant == Array(service.defaultTenant.utf8) {
      return
    }
    report.add(.changed, "records", tenant: "")
  }

  /// A number that is handed out twice would make an older row equal to a newer one.
  private func checkSequence(_ chain: ChainState) throws(ServiceError) {
    let next = try stored { () throws(StoreError) in try reader.upcomingSequence(tenant: chain.tenant) }
    guard let next, !chain.accepts(next: next) else { return }
    report.add(.changed, "tenants/" + chain.tenant, tenant: chain.tenant)
  }

  private func checkAPIKeys(_ chain: inout ChainState) throws(ServiceError) {
    try pages(&chain) { (reader, last: APIKeyRow?, tenant) throws(StoreError) in
      try reader.apiKeys(tenant: tenant, after: last?.id ?? "", limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      report.apiKeys += 1
      try check(row, &chain)
    }
  }

  private func checkSecrets(_ chain: inout ChainState) throws(ServiceError) {
    try pages(&chain) { (reader, last: SecretRow?, tenant) throws(StoreError) in
      try reader.secrets(tenant: tenant, after: last?.position ?? .min, limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      report.secrets += 1
      try check(row, &chain)
    }
  }

  private func checkDocuments(_ chain: inout ChainState) throws(ServiceError) {
    try pages(&chain) { (reader, last: DocumentRow?, tenant) throws(StoreError) in
      try reader.documents(tenant: tenant, after: (last?.collection ?? "", last?.name ?? ""), limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      report.documents += 1
      try check(row, &chain)
    }
  }

  /// What the chain names and no page held: made behind the walk, or gone without an entry.
  private func checkUnseen(_ chain: inout ChainState) throws(ServiceError) {
    for place in chain.unseen where !RowChange.isStructure(place) {
      let parts = place.split(separator: "/", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "canaries": try checkUnseenCanary(parts[1], &chain)
      case "secrets":
        let row = try stored { () throws(StoreError) in try reader.secret(tenant: chain.tenant, name: parts[1]) }
        if let row { try check(row, &chain) } else { report.add(.missing, place, tenant: chain.tenant) }
      case "api_keys":
        let row = try stored { () throws(StoreError) in try reader.apiKey(parts[1]) }
        if let row, row.tenant == chain.tenant { try check(row, &chain) } else { report.add(.missing, place, tenant: chain.tenant) }
      default:
        let row = try stored { () throws(StoreError) in
          try reader.document(tenant: chain.tenant, collection: parts[0], name: parts[1])
        }
        if let row { try check(row, &chain) } else { report.add(.missing, place, tenant: chain.tenant) }
      }
    }
  }

  // MARK: - One row

  private func check(_ row: APIKeyRow, _ chain: inout ChainState) throws(ServiceError) {
    let place = RowChange.apiKey(row.id)
    try prove(row, place, row.tenant)
    compare(place, row.state, &chain)
  }

  private func check(_ row: SecretRow, _ chain: inout ChainState) throws(ServiceError) {
    let place = RowChange.secret(row.name)
    compare(place, row.state, &chain)
    if row.isCanary { compare(Canary(row), &chain) }
    guard let keys = try? service.vault.keys(tenant: row.tenant, version: row.kekVersion, in: reader) else {
      return report.add(.doesNotOpen, place, tenant: row.tenant)
    }
    if (try? keys.verify(row)) == nil {
      report.add(.changed, place, tenant: row.tenant)
    } else if (try? keys.open(row)) == nil {
      report.add(.doesNotOpen, place, tenant: row.tenant)
    }
  }

  private func check(_ row: DocumentRow, _ chain: inout ChainState) throws(ServiceError) {
    let place = RowChange.document(row.collection, row.name)
    compare(place, row.state, &chain)
    if (try? service.open(row, in: reader)) == nil { report.add(.doesNotOpen, place, tenant: row.tenant) }
  }

  /// A canary that no page held: marked behind the walk, or its row was put back as it was before.
  private func checkUnseenCanary(_ place: String, _ chain: inout ChainState) throws(ServiceError) {
    let parts = place.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let tenant = chain.tenant
    let canaries: [Canary] = try stored { () throws(StoreError) in
      if parts.count == 2 { return try reader.secret(tenant: tenant, name: parts[1]).map { $0.isCanary ? [Canary($0)] : [] } ?? [] }
      guard parts.count == 5 else { return [] }
      let scope = ScopeKey(tenant: tenant, scope: parts[1], scopeID: parts[2])
      let rows = try [reader.scopedSecret(scope, id: parts[3])].compactMap { $0 } + reader.deletedSecrets(scope, id: parts[3], limit: 1000)
      return rows.filter(\.isCanary).map { Canary($0) }
    }
    let found = canaries.first { $0.mark.place == Canary.prefix + place }
    if let found { compare(found, &chain) } else { report.add(.missing, Canary.prefix + place, tenant: tenant) }
  }

  func compare(_ canary: Canary, _ chain: inout ChainState) {
    if let state = canary.mark.state { compare(canary.mark.place, state, &chain) }
  }

  func prove(_ row: some RootSealedRow, _ place: String, _ tenant: String) throws(ServiceError) {
    if try !service.vault.verify(row) { report.add(.changed, place, tenant: tenant) }
  }

  private func compare(_ place: String, _ state: RowState, _ chain: inout ChainState) {
    if let problem = chain.see(place, state) { report.add(problem, place, tenant: chain.tenant) }
  }

  // MARK: - Turns

  /// Every row of one kind, a page a turn.
  func pages<Row>(
    _ chain: inout ChainState, read: (any StoreReader, Row?, String) throws(StoreError) -> [Row],
    each: (Row, inout ChainState) throws(ServiceError) -> Void
  ) throws(ServiceError) {
    var last: Row?
    var count = Self.page
    while count == Self.page {
      try turn(&chain) { chain throws(ServiceError) in
        let rows = try stored { () throws(StoreError) in try read(reader, last, chain.tenant) }
        for row in rows { try each(row, &chain) }
        count = rows.count
        last = rows.last
      }
    }
  }

  /// One snapshot: what the chain has gained, then `body`.
  func turn(_ chain: inout ChainState, _ body: (inout ChainState) throws(ServiceError) -> Void) throws(ServiceError) {
    reader.refresh(.everything)
    defer { reader.turnEnds() }
    try passCut(&chain)
    let change = try rootChange(chain)
    while true {
      let rows = try stored { () throws(StoreError) in
        try reader.auditEntries(tenant: chain.tenant, after: chain.head.sequence, limit: Self.page)
      }
      for row in rows {
        let place = "audit/\(chain.head.sequence + 1)"
        if try !fits(row, after: chain.head, change) || !chain.startsRight(row) { report.add(.brokenChain, place, tenant: chain.tenant) }
        chain.take(row)
      }
      if rows.count < Self.page { break }
    }
    if let change, change.sequence > chain.head.sequence, !chain.isShort {
      report.add(.cutOff, "audit/\(change.sequence)", tenant: chain.tenant)
      chain.isShort = true
    }
    try body(&chain)
  }

  /// Entries may have been cut, also while this walk stood before them.
  private func passCut(_ chain: inout ChainState) throws(ServiceError) {
    guard let bytes = try stored({ () throws(StoreError) in try reader.auditCheckpoint(tenant: chain.tenant) }) else { return }
    guard let checkpoint = AuditCheckpoint(bytes), AuditCheckpoint.isGenuine(bytes, tenant: chain.tenant, roots: try service.vault.roots)
    else {
      if chain.entries == 0 { report.add(.brokenChain, "audit/checkpoint", tenant: chain.tenant) }
      return
    }
    if checkpoint.sequence > chain.head.sequence {
      chain.resume(behind: AuditHead(sequence: checkpoint.sequence, hash: checkpoint.hash))
    }
  }

  /// Where the root key was changed: up to there the links prove the entries.
  private func rootChange(_ chain: ChainState) throws(ServiceError) -> AuditRootChange? {
    guard let bytes = try stored({ () throws(StoreError) in try reader.auditRootChange(tenant: chain.tenant) }) else { return nil }
    guard AuditRootChange.isGenuine(bytes, tenant: chain.tenant, roots: try service.vault.roots) else {
      if chain.entries == 0 { report.add(.brokenChain, "audit/root-change", tenant: chain.tenant) }
      return nil
    }
    return AuditRootChange(bytes)
  }

  private func fits(_ row: AuditRow, after head: AuditHead, _ change: AuditRootChange?) throws(ServiceError) -> Bool {
    var walk = AuditWalk(
      after: AuditMark(sequence: head.sequence, hash: head.hash), rootChange: change, roots: try service.vault.roots)
    return walk.take(row, hash: row.hash, mac: row.mac)
  }

  /// What the store cannot read is a finding; what it cannot do now ends the verification.
  private func noting(_ place: String, tenant: String, _ body: () throws(ServiceError) -> Void) throws(ServiceError) {
    do { try body() } catch {
      guard case .unreadable = error else { throw error }
      report.add(.damaged, place, tenant: tenant)
    }
  }

  func stored<T>(_ body: () throws(StoreError) -> T) throws(ServiceError) -> T {
    do { return try body() } catch { throw ServiceError(error) }
  }
}
