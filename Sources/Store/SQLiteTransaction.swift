/// The write operations, on the writer's connection and thread.
final class SQLiteTransaction: SQLiteReading, StoreTransaction {
  private let ownMemo = TransactionMemo()
  override var memo: TransactionMemo? { ownMemo }

  /// The newest entry of each chain, as this transaction sees it: nobody else writes.
  private var heads: [String: AuditHead] = [:]
  /// Rows that most bodies of a batch look at, as read or written in this batch.
  private var tenants: [String: TenantRow] = [:]
  private var keks: [KEKSlot: KEKRow] = [:]

  private struct KEKSlot: Hashable {
    let tenant: String
    let version: UInt32
  }

  /// Whether a statement of the batch writes what says who may do what.
  private(set) var changesStructure = false

  /// For statements that write tenants, API keys, agents, memberships, teams or projects.
  func prepareStructural(_ text: StaticString) throws(StoreError) -> SQLiteStatement {
    changesStructure = true
    return try connection.prepare(text)
  }

  /// Rows that the connection had changed when the batch began, and those of audit entries and their index since.
  private var (changedBefore, changedByAudit) = (Int64(0), Int64(0))

  /// Whether the batch has written anything but audit entries, be it undone since.
  var changesContents: Bool { connection.allChangedRows - changedBefore != changedByAudit }

  /// Audit entries of the batch so far.
  private(set) var appendedEntries = 0

  /// To be called when a batch begins.
  func begin() {
    appendedEntries = 0
    changesStructure = false
    (changedBefore, changedByAudit) = (connection.allChangedRows, 0)
    forgetRows()
  }

  /// To be called whenever something was undone.
  ///
  /// - Parameter entries: how many audit entries of the batch are left.
  func undo(leaving entries: Int = 0) {
    heads = [:]
    appendedEntries = entries
    forgetRows()
  }

  /// To be called when a batch has ended: keys are in the memo.
  func end() { forgetRows() }

  private func forgetRows() {
    ownMemo.contents = nil
    tenants.removeAll(keepingCapacity: true)
    keks.removeAll(keepingCapacity: true)
  }

  override func tenant(_ id: String) throws(StoreError) -> TenantRow? {
    if let row = tenants[id] { return row }
    let row = try super.tenant(id)
    tenants[id] = row
    return row
  }

  override func kek(tenant: String, version: UInt32) throws(StoreError) -> KEKRow? {
    let slot = KEKSlot(tenant: tenant, version: version)
    if let row = keks[slot] { return row }
    let row = try super.kek(tenant: tenant, version: version)
    keks[slot] = row
    return row
  }

  override func auditHead(tenant: String) throws(StoreError) -> AuditHead? {
    if let head = heads[tenant] { return head }
    let head = try super.auditHead(tenant: tenant)
    // Bounded: a store may have any number of tenants.
    if heads.count >= 1024 { heads = [:] }
    heads[tenant] = head
    return head
  }

  func setRecord(_ name: StaticString, _ value: [UInt8]) throws(StoreError) {
    try connection.prepare("INSERT INTO records (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
      .run([.text("\(name)"), .blob(value)])
  }

  func insert(_ row: TenantRow) throws(StoreError) {
    try prepareStructural("INSERT INTO tenants (id, name, created_at, active_kek_version, settings, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
      .run(
        [
          .text(row.id), .text(row.name), .integer(row.createdAt), .integer(Int64(row.activeKEKVersion)), .text(row.settings),
          .blob(row.mac),
        ])
  }

  func update(_ row: TenantRow) throws(StoreError) {
    tenants[row.id] = nil
    ownMemo.contents = nil
    try prepareStructural("UPDATE tenants SET name = ?2, active_kek_version = ?3, settings = ?4, mac = ?5 WHERE id = ?1")
      .run([.text(row.id), .text(row.name), .integer(Int64(row.activeKEKVersion)), .text(row.settings), .blob(row.mac)])
    try requireChange()
  }

  func insert(_ row: KEKRow) throws(StoreError) {
    try connection.prepare(
      """
      INSERT INTO keks (tenant, version, kek_id, root_key_id, wrapped, created_at, wraps_reserved, mac)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      """
    ).run(
      [
        .text(row.tenant), .integer(Int64(row.version)), .blob(row.kekID), .text(row.rootKeyID), .blob(row.wrapped),
        .integer(row.createdAt), .integer(row.wrapsReserved), .blob(row.mac),
      ])
  }

  func update(_ row: KEKRow) throws(StoreError) {
    keks[KEKSlot(tenant: row.tenant, version: row.version)] = nil
    ownMemo.contents = nil
    try connection.prepare(
      "UPDATE keks SET root_key_id = ?3, wrapped = ?4, wraps_reserved = ?5, mac = ?6 WHERE tenant = ?1 AND version = ?2"
    ).run(
      [
        .text(row.tenant), .integer(Int64(row.version)), .text(row.rootKeyID), .blob(row.wrapped), .integer(row.wrapsReserved),
        .blob(row.mac),
      ])
    try requireChange()
  }

  func insert(_ row: APIKeyRow) throws(StoreError) {
    try prepareStructural(
      """
      INSERT INTO api_keys (id, tenant, kind, role, name, digest, created_at, expires_at, revoked_at, mac, agent, parent, grants,
        created_by, max_uses, is_retiring) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
      """
    ).run(
      [
        .text(row.id), .text(row.tenant), .text(row.kind), .text(row.role), .text(row.name), .blob(row.digest), .integer(row.createdAt),
        .optional(row.expiresAt), .optional(row.revokedAt), .blob(row.mac), .optional(row.agent?.agent), .optional(row.agent?.parent),
        .optional(row.agent?.grants), .optional(row.agent?.createdBy), .optional(row.agent?.maxUses),
        .integer(row.agent?.isRetiring == true ? 1 : 0),
      ])
  }

  func update(_ row: APIKeyRow) throws(StoreError) {
    try prepareStructural(
      """
      UPDATE api_keys SET role = ?2, name = ?3, expires_at = ?4, revoked_at = ?5, mac = ?6, grants = ?7, is_retiring = ?8 WHERE id = ?1
      """
    ).run(
      [
        .text(row.id), .text(row.role), .text(row.name), .optional(row.expiresAt), .optional(row.revokedAt), .blob(row.mac),
        .optional(row.agent?.grants), .integer(row.agent?.isRetiring == true ? 1 : 0),
      ])
    try requireChange()
  }

  func put(_ row: DocumentRow) throws(StoreError) {
    try connection.prepare(
      """
      INSERT INTO documents (tenant, collection, name, incarnation, version, kek_version, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
      ON CONFLICT (tenant, collection, name) DO UPDATE SET incarnation = excluded.incarnation, version = excluded.version,
        kek_version = excluded.kek_version, sealed = excluded.sealed
      """
    ).run(
      [
        .text(row.tenant), .text(row.collection), .text(row.name), .unsigned(row.incarnation), .unsigned(row.version),
        .integer(Int64(row.kekVersion)), .blob(row.sealed),
      ])
  }

  func deleteDocument(tenant: String, collection: String, name: String) throws(StoreError) -> Bool {
    try connection.prepare("DELETE FROM documents WHERE tenant = ?1 AND collection = ?2 AND name = ?3")
      .run([.text(tenant), .text(collection), .text(name)])
    return connection.changedRows > 0
  }

  func put(_ row: SecretRow) throws(StoreError) {
    try connection.prepare(
      """
      INSERT INTO secrets (tenant, name, position, description, incarnation, version, kek_version, sealed, created_at, updated_at, mac,
        is_canary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
      ON CONFLICT (tenant, name) DO UPDATE SET position = excluded.position, description = excluded.description,
        incarnation = excluded.incarnation, version = excluded.version, kek_version = excluded.kek_version, sealed = excluded.sealed,
        created_at = excluded.created_at, updated_at = excluded.updated_at, mac = excluded.mac, is_canary = excluded.is_canary
      """
    ).run(
      [
        .text(row.tenant), .text(row.name), .integer(row.position), .optional(row.description), .unsigned(row.incarnation),
        .unsigned(row.version), .integer(Int64(row.kekVersion)), .blob(row.sealed), .integer(row.createdAt), .integer(row.updatedAt),
        .blob(row.mac), .integer(row.isCanary ? 1 : 0),
      ])
  }

  func put(_ row: CanaryAlertRow) throws(StoreError) {
    try connection.prepare("REPLACE INTO canary_alerts (tenant, place, alerts, last_at, mac) VALUES (?1, ?2, ?3, ?4, ?5)")
      .run([.text(row.tenant), .text(row.place), .integer(row.alerts), .integer(row.lastAt), .blob(row.mac)])
  }

  func forgetCanaryAlerts(tenant: String, place: String) throws(StoreError) {
    try connection.prepare("DELETE FROM canary_alerts WHERE tenant = ?1 AND place = ?2").run([.text(tenant), .text(place)])
  }

  func deleteSecret(tenant: String, name: String) throws(StoreError) -> Bool {
    try connection.prepare("DELETE FROM secrets WHERE tenant = ?1 AND name = ?2").run([.text(tenant), .text(name)])
    return connection.changedRows > 0
  }

  func nextSequence(tenant: String) throws(StoreError) -> Int64 {
    let next = try connection.prepare("UPDATE tenants SET next_sequence = next_sequence + 1 WHERE id = ?1 RETURNING next_sequence - 1")
      .first([.text(tenant)]) { $0.integer(0) }
    guard let next else { throw .conflict }
    return next
  }

  func append(_ row: AuditRow) throws(StoreError) {
    guard row.sequence == (try auditHead(tenant: row.tenant)?.sequence ?? 0) + 1 else { throw .conflict }
    let changed = connection.allChangedRows
    defer { changedByAudit += connection.allChangedRows - changed }
    try connection.prepare(
      """
      INSERT INTO audit (tenant, sequence, at, actor_type, actor_id, key_id, action, scope, scope_id, secret_id, field_key, revision,
        outcome, request_id, details, hash, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
      """
    ).run(
      [
        .text(row.tenant), .integer(row.sequence), .text(row.at), .text(row.actorType), .text(row.actorID), .text(row.keyID),
        .text(row.action), .text(row.scope), .text(row.scopeID), .text(row.secretID), .text(row.fieldKey), .text(row.revision),
        .text(row.outcome), .text(row.requestID), .text(row.details), .blob(row.hash), .blob(row.mac),
      ])
    heads[row.tenant] = AuditHead(sequence: row.sequence, at: row.at, hash: row.hash)
    appendedEntries += 1
    try connection.noteAudit(tenant: row.tenant, through: row.sequence)
  }

  func trimAudit(tenant: String, through sequence: Int64, checkpoint: [UInt8]) throws(StoreError) {
    try connection.prepare("DELETE FROM audit WHERE tenant = ?1 AND sequence <= ?2").run([.text(tenant), .integer(sequence)])
    try connection.trimAuditRuns(tenant: tenant, through: sequence)
    try setAuditCheckpoint(tenant: tenant, checkpoint)
  }

  func setAuditCheckpoint(tenant: String, _ bytes: [UInt8]) throws(StoreError) {
    try connection.prepare(
      "INSERT INTO records (name, value) VALUES ('audit-checkpoint/' || ?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    ).run([.text(tenant), .blob(bytes)])
  }

  func setAuditRootChange(tenant: String, _ bytes: [UInt8]) throws(StoreError) {
    try connection.prepare(
      "INSERT INTO records (name, value) VALUES ('audit-root-change/' || ?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    ).run([.text(tenant), .blob(bytes)])
  }

  func deleteContents(ofTenant id: String) throws(StoreError) {
    forgetRows()
    changesStructure = true
    for statement in Schema.tenantDeletions { try connection.prepare(statement).run([.text(id)]) }
  }

  func requireChange() throws(StoreError) {
    guard connection.changedRows == 1 else { throw .conflict }
  }
}
