internal import Ciphers
internal import KeyRing
internal import Model
internal import Store

/// Brings everything that hangs on the root key under another, inside one transaction (scoped spec, section 6.6): wraps KEKs anew,
/// renews MACs, and closes each audit chain's part under the old key. No row with a value is touched.
struct RootRewrapping {
  struct Counts: Sendable {
    var tenants = 0
    var keks = 0
    /// Rows with a new MAC.
    var rows = 0
    /// Rows whose MAC did not hold before. They stay as they were: a change of the key proves nothing that was not proven.
    var unproven = 0
  }

  let service: Service
  let transaction: any StoreTransaction
  let (old, new): (RootKey, RootKey)
  let principal: Principal
  let requestID: String
  /// What is known of each chain; the rest of it came since.
  let walks: [String: AuditWalk]
  private(set) var counts = Counts()
  private let before: RootKeys
  private static let page = 500

  init(
    _ service: Service, _ transaction: any StoreTransaction, from old: RootKey, to new: RootKey, by principal: Principal,
    requestID: String, walks: [String: AuditWalk]
  ) {
    self.service = service
    self.transaction = transaction
    (self.old, self.new) = (old, new)
    self.principal = principal
    self.requestID = requestID
    self.walks = walks
    before = RootKeys(old)
  }

  mutating func run() throws {
    let store = transaction
    guard let storeID = try store.record("store-id") else { throw ServiceError.unreadable }
    try each({ id in try store.tenants(after: id, limit: Self.page) }, \TenantRow.id) { rewrapping, row in
      rewrapping.counts.tenants += 1
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.update(row) }
      try rewrapping.rewrapKEKs(of: row.id)
      try rewrapping.signRows(of: row.id)
      try rewrapping.closeChain(of: row.id)
    }
    try store.setRecord("key-check", new.keyCheck(storeID: storeID))
  }

  private mutating func rewrapKEKs(of tenant: String) throws {
    for var row in try transaction.allKEKs(of: tenant) {
      if row.isDisabled {
        try sign(row) { row, store throws(StoreError) in try store.update(row) }
        continue
      }
      do throws(CipherError) {
        guard try before.verify(rowMAC: row.mac, of: row.macMessage) else { throw .authenticationFailed }
        row.wrapped = try TenantKEK.rewrap(row.wrapped, tenant: tenant, id: row.kekID, version: row.version, from: old, to: new)
        row.rootKeyID = new.id
        row.mac = try new.rowMAC(row.macMessage)
      } catch { throw ServiceError.obstructed(.kekDoesNotOpen(tenant: tenant, version: row.version)) }
      try transaction.update(row)
      counts.keks += 1
    }
  }

  private mutating func signRows(of tenant: String) throws {
    let store = transaction
    try each({ id in try store.apiKeys(tenant: tenant, after: id, limit: Self.page) }, \APIKeyRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.update(row) }
    }
    try each({ id in try store.keyUses(tenant: tenant, after: id, limit: Self.page) }, \KeyUseRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each({ place in try store.canaryAlerts(tenant: tenant, after: place, limit: Self.page) }, \CanaryAlertRow.place) {
      rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each([], { id in try store.idempotentAnswers(tenant: tenant, after: id, limit: Self.page) }, \IdempotencyRow.id) {
      rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each({ id in try store.teams(tenant: tenant, after: id, limit: Self.page) }, \TeamRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each({ id in try store.projects(tenant: tenant, after: id, limit: Self.page) }, \ProjectRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each({ id in try store.invites(tenant: tenant, after: id, limit: Self.page) }, \InviteRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
    }
    try each({ id in try store.agents(tenant: tenant, after: id, limit: Self.page) }, \AgentRow.id) { rewrapping, row in
      try rewrapping.sign(row) { row, store throws(StoreError) in try store.put(row) }
      for member in try store.memberships(tenant: tenant, agent: row.id) {
        try rewrapping.sign(member) { row, store throws(StoreError) in try store.put(row) }
      }
    }
  }

  /// The entry of the change is the last under the old key; the new one answers for it and for all before it.
  private mutating func closeChain(of tenant: String) throws {
    let (checkpoint, change) = (try transaction.auditCheckpoint(tenant: tenant), try transaction.auditRootChange(tenant: tenant))
    var walk = walks[tenant] ?? AuditWalk(tenant: tenant, checkpoint: checkpoint, rootChange: change, roots: before)
    // A chain that is broken, and was accepted so, has no end to go on from.
    if walk.firstBad == nil {
      for row in try transaction.auditEntries(tenant: tenant, after: walk.last.sequence, limit: .max) {
        guard walk.take(row, hash: row.hash, mac: row.mac) else { throw ServiceError.conflict }
      }
      walk.end()
      guard walk.firstBad == nil else { throw ServiceError.conflict }
    }
    var details = "\"newRootKeyId\":\"\(new.id)\",\"oldRootKeyId\":\"\(old.id)\"}"
    details = (walk.firstBad.map { "{\"firstBad\":\($0)," } ?? "{") + details
    try AuditRecorder(root: old, now: service.now)
      .record(AuditEvent("root.rotate", details: details), by: principal.acting(in: tenant), requestID: requestID, in: transaction)
    guard let head = try transaction.auditHead(tenant: tenant) else { throw ServiceError.unreadable }
    try transaction.setAuditRootChange(
      tenant: tenant, AuditRootChange(sequence: head.sequence, hash: head.hash).bytes(tenant: tenant, root: new))
    if let checkpoint, AuditCheckpoint.isGenuine(checkpoint, tenant: tenant, roots: before) {
      try AuditCheckpoint(checkpoint).map { try transaction.setAuditCheckpoint(tenant: tenant, $0.bytes(tenant: tenant, root: new)) }
    }
  }

  private mutating func sign<Row: RootSealedRow>(_ row: Row, _ put: (Row, any StoreTransaction) throws(StoreError) -> Void) throws {
    guard try before.verify(rowMAC: row.mac, of: row.macMessage) else {
      counts.unproven += 1
      return
    }
    var row = row
    row.mac = try new.rowMAC(row.macMessage)
    try put(row, transaction)
    counts.rows += 1
  }

  private mutating func each<Row>(
    _ read: (String) throws -> [Row], _ id: (Row) -> String, _ body: (inout RootRewrapping, Row) throws -> Void
  ) throws { try each("", read, id, body) }

  private mutating func each<Row, ID>(
    _ first: ID, _ read: (ID) throws -> [Row], _ id: (Row) -> ID, _ body: (inout RootRewrapping, Row) throws -> Void
  ) throws {
    var last = first
    while true {
      let rows = try read(last)
      for row in rows { try body(&self, row) }
      guard rows.count == Self.page, let row = rows.last else { return }
      last = id(row)
    }
  }
}
