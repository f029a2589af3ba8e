/// The read operations, over one connection.
class SQLiteReading: StoreReading {
  var memo: TransactionMemo? { nil }
  let connection: SQLiteConnection

  init(_ connection: SQLiteConnection) { self.connection = connection }

  /// To be called before audit entries are read.
  func seeEntries() {}

  func upcomingSequence(tenant: String) throws(StoreError) -> Int64? {
    try connection.prepare("SELECT next_sequence FROM tenants WHERE id = ?1").first([.text(tenant)]) { $0.integer(0) }
  }

  func record(_ name: StaticString) throws(StoreError) -> [UInt8]? {
    try connection.prepare("SELECT value FROM records WHERE name = ?1").first([.text("\(name)")]) { $0.blob(0) }
  }

  func tenant(_ id: String) throws(StoreError) -> TenantRow? {
    try connection.prepare("SELECT id, name, created_at, active_kek_version, settings, mac FROM tenants WHERE id = ?1")
      .first([.text(id)], read: TenantRow.init)
  }

  func tenants(after id: String, limit: Int) throws(StoreError) -> [TenantRow] {
    try connection.prepare("SELECT id, name, created_at, active_kek_version, settings, mac FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2")
      .all([.text(id), .integer(Int64(limit))], read: TenantRow.init)
  }

  func kek(tenant: String, version: UInt32) throws(StoreError) -> KEKRow? {
    try connection.prepare(
      """
      SELECT tenant, version, kek_id, root_key_id, wrapped, created_at, wraps_reserved, mac FROM keks WHERE tenant = ?1 AND version = ?2
      """
    ).first([.text(tenant), .integer(Int64(version))], read: KEKRow.init)
  }

  func keks(tenant: String, after version: UInt32, limit: Int) throws(StoreError) -> [KEKRow] {
    try connection.prepare(
      """
      SELECT tenant, version, kek_id, root_key_id, wrapped, created_at, wraps_reserved, mac FROM keks WHERE tenant = ?1 AND version > ?2
      ORDER BY version LIMIT ?3
      """
    ).all([.text(tenant), .integer(Int64(version)), .integer(Int64(limit))], read: KEKRow.init)
  }

  func keksByRootKey() throws(StoreError) -> [String: Int64] {
    let counts = try connection.prepare("SELECT root_key_id, count(*) FROM keks WHERE wrapped <> x'' GROUP BY root_key_id")
      .all { ($0.text(0), $0.integer(1)) }
    return Dictionary(counts, uniquingKeysWith: +)
  }

  func rowsByKEK(tenant: String) throws(StoreError) -> [UInt32: Int64] {
    let counts = try connection.prepare(
      """
      SELECT kek_version, count(*) FROM documents WHERE tenant = ?1 GROUP BY kek_version UNION ALL
      SELECT kek_version, count(*) FROM secrets WHERE tenant = ?1 GROUP BY kek_version UNION ALL
      SELECT kek_version, count(*) FROM fields WHERE tenant = ?1 GROUP BY kek_version UNION ALL
      SELECT kek_version, count(*) FROM data_keys WHERE tenant = ?1 GROUP BY kek_version
      """
    ).all([.text(tenant)]) { ($0.unsigned32(0), $0.integer(1)) }
    return Dictionary(counts, uniquingKeysWith: +)
  }

  func apiKey(_ id: String) throws(StoreError) -> APIKeyRow? {
    try connection.prepare(
      """
      SELECT id, tenant, kind, role, name, digest, created_at, expires_at, revoked_at, mac, agent, parent, grants,
        created_by, max_uses, is_retiring FROM api_keys WHERE id = ?1
      """
    ).first([.text(id)], read: APIKeyRow.init)
  }

  func apiKeys(tenant: String, after id: String, limit: Int) throws(StoreError) -> [APIKeyRow] {
    try connection.prepare(
      """
      SELECT id, tenant, kind, role, name, digest, created_at, expires_at, revoked_at, mac, agent, parent, grants,
        created_by, max_uses, is_retiring FROM api_keys
      WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3
      """
    ).all([.text(tenant), .text(id), .integer(Int64(limit))], read: APIKeyRow.init)
  }

  func document(tenant: String, collection: String, name: String) throws(StoreError) -> DocumentRow? {
    try connection.prepare(
      """
      SELECT tenant, collection, name, incarnation, version, kek_version, sealed FROM documents
      WHERE tenant = ?1 AND collection = ?2 AND name = ?3
      """
    ).first([.text(tenant), .text(collection), .text(name)], read: DocumentRow.init)
  }

  func documents(tenant: String, collection: String, after name: String, limit: Int) throws(StoreError) -> [DocumentRow] {
    try connection.prepare(
      """
      SELECT tenant, collection, name, incarnation, version, kek_version, sealed FROM documents
      WHERE tenant = ?1 AND collection = ?2 AND name > ?3 ORDER BY name LIMIT ?4
      """
    ).all([.text(tenant), .text(collection), .text(name), .integer(Int64(limit))], read: DocumentRow.init)
  }

  func documents(tenant: String, after place: (collection: String, name: String), limit: Int) throws(StoreError) -> [DocumentRow] {
    try connection.prepare(
      """
      SELECT tenant, collection, name, incarnation, version, kek_version, sealed FROM documents
      WHERE tenant = ?1 AND (collection, name) > (?2, ?3) ORDER BY collection, name LIMIT ?4
      """
    ).all([.text(tenant), .text(place.collection), .text(place.name), .integer(Int64(limit))], read: DocumentRow.init)
  }

  func secret(tenant: String, name: String) throws(StoreError) -> SecretRow? {
    try connection.prepare(
      """
      SELECT tenant, name, position, description, incarnation, version, kek_version, sealed, created_at, updated_at, mac,
        is_canary FROM secrets
      WHERE tenant = ?1 AND name = ?2
      """
    ).first([.text(tenant), .text(name)], read: SecretRow.init)
  }

  func secrets(tenant: String, after position: Int64, limit: Int) throws(StoreError) -> [SecretRow] {
    try connection.prepare(
      """
      SELECT tenant, name, position, description, incarnation, version, kek_version, sealed, created_at, updated_at, mac,
        is_canary FROM secrets
      WHERE tenant = ?1 AND position > ?2 ORDER BY position LIMIT ?3
      """
    ).all([.text(tenant), .integer(position), .integer(Int64(limit))], read: SecretRow.init)
  }

  func canaries(tenant: String, limit: Int) throws(StoreError) -> [SecretRow] {
    try connection.prepare(
      """
      SELECT tenant, name, position, description, incarnation, version, kek_version, sealed, created_at, updated_at, mac,
        is_canary FROM secrets
      WHERE tenant = ?1 AND is_canary = 1 ORDER BY name LIMIT ?2
      """
    ).all([.text(tenant), .integer(Int64(limit))], read: SecretRow.init)
  }

  func canaryAlert(tenant: String, place: String) throws(StoreError) -> CanaryAlertRow? {
    try connection.prepare("SELECT tenant, place, alerts, last_at, mac FROM canary_alerts WHERE tenant = ?1 AND place = ?2")
      .first([.text(tenant), .text(place)], read: CanaryAlertRow.init)
  }

  func canaryAlerts(tenant: String, after place: String, limit: Int) throws(StoreError) -> [CanaryAlertRow] {
    try connection.prepare(
      "SELECT tenant, place, alerts, last_at, mac FROM canary_alerts WHERE tenant = ?1 AND place > ?2 ORDER BY place LIMIT ?3"
    ).all([.text(tenant), .text(place), .integer(Int64(limit))], read: CanaryAlertRow.init)
  }

  func auditHead(tenant: String) throws(StoreError) -> AuditHead? {
    seeEntries()
    let head = try connection.prepare("SELECT sequence, at, hash FROM audit WHERE tenant = ?1 ORDER BY sequence DESC LIMIT 1")
      .first([.text(tenant)]) { AuditHead(sequence: $0.integer(0), at: $0.text(1), hash: $0.blob(2)) }
    // The next one is counted on from it: a file may have been changed by hand.
    if let head, !AuditHead.sequences.contains(head.sequence) { throw .corrupt }
    return head
  }

  func auditEntries(tenant: String, after sequence: Int64, limit: Int) throws(StoreError) -> [AuditRow] {
    seeEntries()
    return try connection.prepare(
      """
      SELECT tenant, sequence, at, actor_type, actor_id, key_id, action, scope, scope_id, secret_id, field_key, revision, outcome,
        request_id, details, hash, mac FROM audit WHERE tenant = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3
      """
    ).all([.text(tenant), .integer(sequence), .integer(Int64(limit))], read: AuditRow.init)
  }

  func auditCheckpoint(tenant: String) throws(StoreError) -> [UInt8]? {
    try connection.prepare("SELECT value FROM records WHERE name = 'audit-checkpoint/' || ?1").first([.text(tenant)]) { $0.blob(0) }
  }

  func auditRootChange(tenant: String) throws(StoreError) -> [UInt8]? {
    try connection.prepare("SELECT value FROM records WHERE name = 'audit-root-change/' || ?1").first([.text(tenant)]) { $0.blob(0) }
  }

  func keyFigures(now: Int64, expiringBefore limit: Int64) throws(StoreError) -> KeyFigures {
    let ages = try connection.prepare(
      """
      SELECT min(keks.created_at), max(keks.created_at) FROM tenants
      JOIN keks ON keks.tenant = tenants.id AND keks.version = tenants.active_kek_version
      """
    ).first { ($0.optionalInteger(0), $0.optionalInteger(1)) }
    let expiring = try connection.prepare(
      "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND expires_at > ?1 AND expires_at <= ?2"
    ).first([.integer(now), .integer(limit)]) { $0.integer(0) }
    return KeyFigures(oldestKEK: ages?.0, newestKEK: ages?.1, expiringKeys: expiring ?? 0)
  }
}

extension TenantRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      id: row.text(0), name: row.text(1), createdAt: row.integer(2), activeKEKVersion: row.unsigned32(3), settings: row.text(4),
      mac: row.blob(5))
  }
}

extension KEKRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), version: row.unsigned32(1), kekID: row.blob(2), rootKeyID: row.text(3), wrapped: row.blob(4),
      createdAt: row.integer(5), wrapsReserved: row.integer(6), mac: row.blob(7))
  }
}

extension APIKeyRow {
  init(_ row: SQLiteStatement.Row) {
    let agent = row.optionalText(10).map {
      AgentKeyPart(
        agent: $0, parent: row.text(11), grants: row.text(12), createdBy: row.text(13), maxUses: row.optionalInteger(14),
        isRetiring: row.integer(15) != 0)
    }
    self.init(
      id: row.text(0), tenant: row.text(1), kind: row.text(2), role: row.text(3), name: row.text(4), digest: row.blob(5),
      createdAt: row.integer(6), expiresAt: row.optionalInteger(7), revokedAt: row.optionalInteger(8), agent: agent, mac: row.blob(9))
  }
}

extension CanaryAlertRow {
  init(_ row: SQLiteStatement.Row) {
    self.init(tenant: row.text(0), place: row.text(1), alerts: row.integer(2), lastAt: row.integer(3), mac: row.blob(4))
  }
}

extension DocumentRow {
  init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), collection: row.text(1), name: row.text(2), incarnation: row.unsigned(3), version: row.unsigned(4),
      kekVersion: row.unsigned32(5), sealed: row.blob(6))
  }
}

extension SecretRow {
  init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), name: row.text(1), position: row.integer(2), description: row.optionalText(3), incarnation: row.unsigned(4),
      version: row.unsigned(5), kekVersion: row.unsigned32(6), sealed: row.blob(7), createdAt: row.integer(8), updatedAt: row.integer(9),
      isCanary: row.integer(11) != 0, mac: row.blob(10))
  }
}

extension AuditRow {
  init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), sequence: row.integer(1), at: row.text(2), actorType: row.text(3), actorID: row.text(4), keyID: row.text(5),
      action: row.text(6), scope: row.text(7), scopeID: row.text(8), secretID: row.text(9), fieldKey: row.text(10), revision: row.text(11),
      outcome: row.text(12), requestID: row.text(13), details: row.text(14), hash: row.blob(15), mac: row.blob(16))
  }
}

/// A reader of one thread.
final class SQLiteReader: SQLiteReading, StoreReader {
  private let clocks: ChangeClocks
  private var isInTurn = false
  /// The number of commits when the turn's snapshot was to begin. nil when the next request needs one of its own.
  private var commits: UInt64?
  /// Whether it was kept over commits of audit entries.
  private var lacksEntries = false
  private var (structureNumber, contentsNumber): (UInt64?, UInt64?)
  /// SQLite's number of the turn's snapshot, once somebody asked.
  private var snapshotNumber: UInt64?

  init(_ connection: SQLiteConnection, _ clocks: ChangeClocks) {
    self.clocks = clocks
    super.init(connection)
  }

  var structure: ReadVersion? { structureNumber.map { .number($0) } ?? snapshot }
  var contents: ReadVersion? { contentsNumber.map { .number($0) } ?? snapshot }

  private var snapshot: ReadVersion? {
    guard isInTurn else { return nil }
    if snapshotNumber == nil {
      // Starts the read transaction, so that the number belongs to what the turn's reads see (sqlite.org/pragma.html).
      snapshotNumber = try? connection.prepare("PRAGMA data_version").first { $0.unsigned(0) }
    }
    return snapshotNumber.map { .snapshot($0) }
  }

  /// Another snapshot costs what is kept of the file: SQLite forgets all pages with it, and a large store is read anew from the root
  /// of each tree. A commit of audit entries alone, as each exposure is, changes none of them (decision 63).
  func refresh(_ demand: SnapshotDemand) {
    let commits = clocks.commits.now
    if let commits, commits == self.commits { return }
    if demand == .contents, let contentsNumber, contentsNumber == clocks.contents.now {
      lacksEntries = true
      return
    }
    turnEnds()
    isInTurn = true
    // Read before the snapshot begins: what was told of by then is in it and in them.
    self.commits = commits
    (structureNumber, contentsNumber) = (clocks.structure.now, clocks.contents.now)
    // A turn that has everything in memory needs none.
    connection.beginsWhenUsed = true
  }

  override func seeEntries() {
    if lacksEntries { refresh(.everything) }
  }

  func damage() throws(StoreError) -> [String] { try connection.damage() }

  /// A snapshot that stayed open would keep the log from being emptied.
  func turnEnds() {
    (isInTurn, lacksEntries) = (false, false)
    (commits, structureNumber, contentsNumber, snapshotNumber) = (nil, nil, nil, nil)
    connection.beginsWhenUsed = false
    guard connection.isInTransaction else { return }
    do { try connection.execute("COMMIT") } catch { try? connection.execute("ROLLBACK") }
  }
}
