// The read operations of the scoped dialect, over one connection.

extension SQLiteReading {
  func team(tenant: String, id: String) throws(StoreError) -> TeamRow? {
    try connection.prepare("SELECT tenant, id, name, created_at, mac FROM teams WHERE tenant = ?1 AND id = ?2")
      .first([.text(tenant), .text(id)], read: TeamRow.init)
  }

  func teams(tenant: String, after id: String, limit: Int) throws(StoreError) -> [TeamRow] {
    try connection.prepare("SELECT tenant, id, name, created_at, mac FROM teams WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
      .all([.text(tenant), .text(id), .integer(Int64(limit))], read: TeamRow.init)
  }

  func project(tenant: String, id: String) throws(StoreError) -> ProjectRow? {
    try connection.prepare("SELECT tenant, id, name, team, created_at, mac FROM projects WHERE tenant = ?1 AND id = ?2")
      .first([.text(tenant), .text(id)], read: ProjectRow.init)
  }

  func projects(tenant: String, after id: String, limit: Int) throws(StoreError) -> [ProjectRow] {
    try connection.prepare(
      "SELECT tenant, id, name, team, created_at, mac FROM projects WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ).all([.text(tenant), .text(id), .integer(Int64(limit))], read: ProjectRow.init)
  }

  func agent(tenant: String, id: String) throws(StoreError) -> AgentRow? {
    try connection.prepare(
      "SELECT tenant, id, name, description, created_at, created_by, disabled_at, mac FROM agents WHERE tenant = ?1 AND id = ?2"
    ).first([.text(tenant), .text(id)], read: AgentRow.init)
  }

  func agents(tenant: String, after id: String, limit: Int) throws(StoreError) -> [AgentRow] {
    try connection.prepare(
      """
      SELECT tenant, id, name, description, created_at, created_by, disabled_at, mac FROM agents
      WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3
      """
    ).all([.text(tenant), .text(id), .integer(Int64(limit))], read: AgentRow.init)
  }

  func memberships(tenant: String, agent: String) throws(StoreError) -> [MembershipRow] {
    try connection.prepare(
      """
      SELECT tenant, agent, scope, scope_id, role, priority, expires_at, created_at, mac FROM memberships
      WHERE tenant = ?1 AND agent = ?2 ORDER BY scope, scope_id
      """
    ).all([.text(tenant), .text(agent)], read: MembershipRow.init)
  }

  func members(tenant: String, scope: String, scopeID: String, limit: Int) throws(StoreError) -> [MembershipRow] {
    try connection.prepare(
      """
      SELECT tenant, agent, scope, scope_id, role, priority, expires_at, created_at, mac FROM memberships
      WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3 ORDER BY agent LIMIT ?4
      """
    ).all([.text(tenant), .text(scope), .text(scopeID), .integer(Int64(limit))], read: MembershipRow.init)
  }

  func apiKeys(tenant: String, agent: String, after id: String, limit: Int) throws(StoreError) -> [APIKeyRow] {
    try connection.prepare(
      """
      SELECT id, tenant, kind, role, name, digest, created_at, expires_at, revoked_at, mac, agent, parent, grants,
        created_by, max_uses, is_retiring FROM api_keys WHERE tenant = ?1 AND agent = ?2 AND id > ?3 ORDER BY id LIMIT ?4
      """
    ).all([.text(tenant), .text(agent), .text(id), .integer(Int64(limit))], read: APIKeyRow.init)
  }

  func keyUse(tenant: String, id: String) throws(StoreError) -> KeyUseRow? {
    try connection.prepare("SELECT tenant, id, last_used_at, uses, mac FROM key_uses WHERE tenant = ?1 AND id = ?2")
      .first([.text(tenant), .text(id)], read: KeyUseRow.init)
  }

  func keyUses(tenant: String, after id: String, limit: Int) throws(StoreError) -> [KeyUseRow] {
    try connection.prepare(
      "SELECT tenant, id, last_used_at, uses, mac FROM key_uses WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ).all([.text(tenant), .text(id), .integer(Int64(limit))], read: KeyUseRow.init)
  }

  func scopedSecret(_ place: ScopeKey, id: String) throws(StoreError) -> ScopedSecretRow? {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
      WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3 AND secret_id = ?4 AND grave = 0
      """
    ).first([.text(place.tenant), .text(place.scope), .text(place.scopeID), .text(id)], read: ScopedSecretRow.init)
  }

  func scopedSecrets(_ place: ScopeKey, after id: String, limit: Int) throws(StoreError) -> [ScopedSecretRow] {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
      WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3 AND secret_id > ?4 AND grave = 0 ORDER BY secret_id LIMIT ?5
      """
    ).all(
      [.text(place.tenant), .text(place.scope), .text(place.scopeID), .text(id), .integer(Int64(limit))], read: ScopedSecretRow.init)
  }

  func deletedSecrets(_ place: ScopeKey, id: String, limit: Int) throws(StoreError) -> [ScopedSecretRow] {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
      WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3 AND secret_id = ?4 AND grave <> 0 ORDER BY deleted_at DESC LIMIT ?5
      """
    ).all(
      [.text(place.tenant), .text(place.scope), .text(place.scopeID), .text(id), .integer(Int64(limit))], read: ScopedSecretRow.init)
  }

  func dueSecrets(tenant: String, before time: Int64, limit: Int) throws(StoreError) -> [ScopedSecretRow] {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
      WHERE tenant = ?1 AND purge_after <= ?2 ORDER BY purge_after LIMIT ?3
      """
    ).all([.text(tenant), .integer(time), .integer(Int64(limit))], read: ScopedSecretRow.init)
  }

  func allSecrets(after place: ScopeKey, id: String, grave: Int64, limit: Int)
    throws(StoreError) -> [(secret: ScopedSecretRow, grave: Int64)]
  {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions, grave FROM whole_secrets
      WHERE tenant = ?1 AND (scope, scope_id, secret_id, grave) > (?2, ?3, ?4, ?5) ORDER BY scope, scope_id, secret_id, grave LIMIT ?6
      """
    ).all(
      [.text(place.tenant), .text(place.scope), .text(place.scopeID), .text(id), .integer(grave), .integer(Int64(limit))]
    ) { (ScopedSecretRow($0), $0.integer(19)) }
  }

  func scopedCanaries(tenant: String, limit: Int) throws(StoreError) -> [ScopedSecretRow] {
    try connection.prepare(
      """
      SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
        created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
      WHERE tenant = ?1 AND is_canary = 1 ORDER BY scope, scope_id, secret_id, grave LIMIT ?2
      """
    ).all([.text(tenant), .integer(Int64(limit))], read: ScopedSecretRow.init)
  }

  func scopeSize(_ place: ScopeKey) throws(StoreError) -> Int64 {
    try connection.prepare("SELECT live FROM scope_sizes WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3")
      .first([.text(place.tenant), .text(place.scope), .text(place.scopeID)]) { $0.integer(0) } ?? 0
  }

  func scopedField(_ place: ScopeKey, secret: String, key: String) throws(StoreError) -> (ScopedSecretRow, FieldRow?)? {
    try connection.prepare(
      """
      SELECT s.incarnation, s.name, s.category, s.tags, s.revision, s.kek_version, s.created_at, s.updated_at, s.created_by, s.updated_by,
        s.deleted_at, s.purge_after, s.mac, s.is_canary, s.field_versions, f.version, f.state, f.sensitivity, f.data_key_id,
        f.kek_version, f.created_at, f.created_by, f.purge_after, f.mac, f.sealed
      FROM whole_secrets s LEFT JOIN fields f ON f.tenant = s.tenant AND f.incarnation = s.incarnation AND f.field_key = ?5
      WHERE s.tenant = ?1 AND s.scope = ?2 AND s.scope_id = ?3 AND s.secret_id = ?4 AND s.grave = 0 ORDER BY f.version DESC LIMIT 1
      """
    ).first([.text(place.tenant), .text(place.scope), .text(place.scopeID), .text(secret), .text(key)]) { row in
      let found = ScopedSecretRow(place, secret, row, from: 0)
      return (found, row.isNull(15) ? nil : FieldRow(place.tenant, found.incarnation, key, row, from: 15))
    }
  }

  func fields(tenant: String, incarnation: UInt64, withValues: Bool) throws(StoreError) -> [FieldRow] {
    guard withValues else { return try fieldsWithoutValues(tenant: tenant, incarnation: incarnation) }
    return try connection.prepare(
      """
      SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, created_at, created_by,
        purge_after, mac, sealed FROM fields AS f WHERE tenant = ?1 AND incarnation = ?2 AND field_key > '' AND NOT EXISTS (
          SELECT 1 FROM fields WHERE tenant = ?1 AND incarnation = ?2 AND field_key = f.field_key AND version > f.version)
      ORDER BY field_key
      """
    ).all([.text(tenant), .unsigned(incarnation)]) { FieldRow($0) }
  }

  /// Most fields have few versions: passing over the earlier ones costs less than asking of each row whether there is a later one.
  private func fieldsWithoutValues(tenant: String, incarnation: UInt64) throws(StoreError) -> [FieldRow] {
    var last = ""
    let newest = try connection.prepare(
      """
      SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, created_at, created_by, purge_after,
        mac, x'' FROM fields WHERE tenant = ?1 AND incarnation = ?2 AND field_key > '' ORDER BY field_key DESC, version DESC
      """
    ).all([.text(tenant), .unsigned(incarnation)]) { row -> FieldRow? in
      let key = row.text(2)
      guard key != last else { return nil }
      last = key
      return FieldRow(row)
    }
    return newest.reversed().compactMap { $0 }
  }

  func fieldVersion(tenant: String, incarnation: UInt64, key: String, version: UInt64) throws(StoreError) -> FieldRow? {
    try connection.prepare(
      """
      SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, created_at, created_by, purge_after,
        mac, sealed FROM fields WHERE tenant = ?1 AND incarnation = ?2 AND field_key = ?3 AND version = ?4
      """
    ).first([.text(tenant), .unsigned(incarnation), .text(key), .unsigned(version)]) { FieldRow($0) }
  }

  func fieldVersions(tenant: String, incarnation: UInt64, key: String, limit: Int) throws(StoreError) -> [FieldRow] {
    try connection.prepare(
      """
      SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, created_at, created_by, purge_after,
        mac, x'' FROM fields WHERE tenant = ?1 AND incarnation = ?2 AND field_key = ?3 ORDER BY version DESC LIMIT ?4
      """
    ).all([.text(tenant), .unsigned(incarnation), .text(key), .integer(Int64(limit))]) { FieldRow($0) }
  }

  func dataKey(tenant: String, id: [UInt8]) throws(StoreError) -> DataKeyRow? {
    try connection.prepare(
      """
      SELECT tenant, id, incarnation, field_key, field_version, digest, kek_version, bound_at, mac FROM data_keys
      WHERE tenant = ?1 AND id = ?2
      """
    ).first([.text(tenant), .blob(id)], read: DataKeyRow.init)
  }

  func dataKeys(tenant: String, after id: [UInt8], limit: Int) throws(StoreError) -> [DataKeyRow] {
    try connection.prepare(
      """
      SELECT tenant, id, incarnation, field_key, field_version, digest, kek_version, bound_at, mac FROM data_keys
      WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3
      """
    ).all([.text(tenant), .blob(id), .integer(Int64(limit))], read: DataKeyRow.init)
  }

  func samples(tenant: String, kekVersion: UInt32, limit: Int) throws(StoreError) -> KEKSamples {
    func rows<Row>(_ sql: StaticString, _ read: (SQLiteStatement.Row) -> Row) throws(StoreError) -> [Row] {
      try connection.prepare(sql).all([.text(tenant), .integer(Int64(kekVersion)), .integer(Int64(limit))], read: read)
    }
    return KEKSamples(
      documents: try rows(
        """
        SELECT tenant, collection, name, incarnation, version, kek_version, sealed FROM documents
        WHERE tenant = ?1 AND kek_version = ?2 LIMIT ?3
        """, DocumentRow.init),
      secrets: try rows(
        """
        SELECT tenant, name, position, description, incarnation, version, kek_version, sealed, created_at, updated_at, mac,
          is_canary FROM secrets WHERE tenant = ?1 AND kek_version = ?2 LIMIT ?3
        """, SecretRow.init),
      scopedSecrets: try rows(
        """
        SELECT tenant, scope, scope_id, secret_id, incarnation, name, category, tags, revision, kek_version, created_at, updated_at,
          created_by, updated_by, deleted_at, purge_after, mac, is_canary, field_versions FROM whole_secrets
        WHERE tenant = ?1 AND kek_version = ?2 LIMIT ?3
        """, ScopedSecretRow.init),
      fields: try rows(
        """
        SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, created_at, created_by,
          purge_after, mac, sealed FROM fields WHERE tenant = ?1 AND kek_version = ?2 AND field_key > '' LIMIT ?3
        """, { FieldRow($0) }),
      dataKeys: try rows(
        """
        SELECT tenant, id, incarnation, field_key, field_version, digest, kek_version, bound_at, mac FROM data_keys
        WHERE tenant = ?1 AND kek_version = ?2 LIMIT ?3
        """, DataKeyRow.init))
  }

  func invite(_ id: String) throws(StoreError) -> InviteRow? {
    try connection.prepare(
      """
      SELECT tenant, id, label, digest, memberships, expires_at, max_uses, uses, created_at, created_by, revoked_at, mac FROM invites
      WHERE id = ?1
      """
    ).first([.text(id)], read: InviteRow.init)
  }

  func invites(tenant: String, after id: String, limit: Int) throws(StoreError) -> [InviteRow] {
    try connection.prepare(
      """
      SELECT tenant, id, label, digest, memberships, expires_at, max_uses, uses, created_at, created_by, revoked_at, mac FROM invites
      WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3
      """
    ).all([.text(tenant), .text(id), .integer(Int64(limit))], read: InviteRow.init)
  }

  func idempotentAnswer(tenant: String, id: [UInt8]) throws(StoreError) -> IdempotencyRow? {
    try connection.prepare(
      "SELECT tenant, id, body_digest, status, entity_tag, body, created_at, mac FROM idempotency WHERE tenant = ?1 AND id = ?2"
    ).first([.text(tenant), .blob(id)], read: IdempotencyRow.init)
  }

  func idempotentAnswers(tenant: String, after id: [UInt8], limit: Int) throws(StoreError) -> [IdempotencyRow] {
    try connection.prepare(
      """
      SELECT tenant, id, body_digest, status, entity_tag, body, created_at, mac FROM idempotency
      WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3
      """
    ).all([.text(tenant), .blob(id), .integer(Int64(limit))], read: IdempotencyRow.init)
  }
}

extension KeyUseRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(tenant: row.text(0), id: row.text(1), lastUsedAt: row.integer(2), uses: row.integer(3), mac: row.blob(4))
  }
}

extension IdempotencyRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), id: row.blob(1), bodyDigest: row.blob(2), status: row.integer(3), entityTag: row.text(4), body: row.blob(5),
      createdAt: row.integer(6), mac: row.blob(7))
  }
}

extension TeamRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(tenant: row.text(0), id: row.text(1), name: row.text(2), createdAt: row.integer(3), mac: row.blob(4))
  }
}

extension ProjectRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), id: row.text(1), name: row.text(2), team: row.optionalText(3), createdAt: row.integer(4), mac: row.blob(5))
  }
}

extension AgentRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), id: row.text(1), name: row.text(2), description: row.text(3), createdAt: row.integer(4),
      createdBy: row.text(5), disabledAt: row.optionalInteger(6), mac: row.blob(7))
  }
}

extension MembershipRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), agent: row.text(1), scope: row.text(2), scopeID: row.text(3), role: row.text(4), priority: row.integer(5),
      expiresAt: row.optionalInteger(6), createdAt: row.integer(7), mac: row.blob(8))
  }
}

extension ScopedSecretRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(ScopeKey(tenant: row.text(0), scope: row.text(1), scopeID: row.text(2)), row.text(3), row, from: 4)
  }

  /// Of a row that was asked for by its key.
  fileprivate init(_ place: ScopeKey, _ id: String, _ row: SQLiteStatement.Row, from first: Int32) {
    self.init(
      place: place, secretID: id, incarnation: row.unsigned(first), name: row.text(first + 1), category: row.text(first + 2),
      tags: row.text(first + 3), revision: row.unsigned(first + 4), kekVersion: row.unsigned32(first + 5),
      createdAt: row.integer(first + 6), updatedAt: row.integer(first + 7), createdBy: row.text(first + 8),
      updatedBy: row.text(first + 9), deletedAt: row.optionalInteger(first + 10), purgeAfter: row.optionalInteger(first + 11),
      isCanary: row.integer(first + 13) != 0, fieldVersions: row.text(first + 14), mac: row.blob(first + 12))
  }
}

extension FieldRow {
  fileprivate init(_ row: SQLiteStatement.Row) { self.init(row.text(0), row.unsigned(1), row.text(2), row, from: 3) }

  /// Of a row that was asked for by its key. A state that is not known counts as removed: the row's MAC refuses it anyway.
  fileprivate init(_ tenant: String, _ incarnation: UInt64, _ key: String, _ row: SQLiteStatement.Row, from first: Int32) {
    self.init(
      tenant: tenant, incarnation: incarnation, fieldKey: key, version: row.unsigned(first),
      state: State(rawValue: row.text(first + 1)) ?? .removed, sensitivity: row.text(first + 2), dataKeyID: row.blob(first + 3),
      kekVersion: row.unsigned32(first + 4), createdAt: row.integer(first + 5), createdBy: row.text(first + 6),
      purgeAfter: row.optionalInteger(first + 7), mac: row.blob(first + 8), sealed: row.blob(first + 9))
  }
}

extension DataKeyRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), id: row.blob(1), incarnation: row.unsigned(2), fieldKey: row.text(3), fieldVersion: row.unsigned(4),
      digest: row.blob(5), kekVersion: row.unsigned32(6), boundAt: row.integer(7), mac: row.blob(8))
  }
}

extension InviteRow {
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      tenant: row.text(0), id: row.text(1), label: row.text(2), digest: row.blob(3), memberships: row.text(4), expiresAt: row.integer(5),
      maxUses: row.integer(6), uses: row.integer(7), createdAt: row.integer(8), createdBy: row.text(9), revokedAt: row.optionalInteger(10),
      mac: row.blob(11))
  }
}
