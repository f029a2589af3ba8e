// The write operations of the scoped dialect, on the writer's connection and thread.

extension SQLiteTransaction {
  func put(_ row: TeamRow) throws(StoreError) {
    try prepareStructural("REPLACE INTO teams (tenant, id, name, created_at, mac) VALUES (?1, ?2, ?3, ?4, ?5)")
      .run([.text(row.tenant), .text(row.id), .text(row.name), .integer(row.createdAt), .blob(row.mac)])
  }

  func put(_ row: ProjectRow) throws(StoreError) {
    try prepareStructural("REPLACE INTO projects (tenant, id, name, team, created_at, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
      .run([.text(row.tenant), .text(row.id), .text(row.name), .optional(row.team), .integer(row.createdAt), .blob(row.mac)])
  }

  func put(_ row: AgentRow) throws(StoreError) {
    try prepareStructural(
      """
      REPLACE INTO agents (tenant, id, name, description, created_at, created_by, disabled_at, mac)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      """
    ).run(
      [
        .text(row.tenant), .text(row.id), .text(row.name), .text(row.description), .integer(row.createdAt), .text(row.createdBy),
        .optional(row.disabledAt), .blob(row.mac),
      ])
  }

  func put(_ row: MembershipRow) throws(StoreError) {
    try prepareStructural(
      """
      REPLACE INTO memberships (tenant, agent, scope, scope_id, role, priority, expires_at, created_at, mac)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
      """
    ).run(
      [
        .text(row.tenant), .text(row.agent), .text(row.scope), .text(row.scopeID), .text(row.role), .integer(row.priority),
        .optional(row.expiresAt), .integer(row.createdAt), .blob(row.mac),
      ])
  }

  func deleteTeam(tenant: String, id: String) throws(StoreError) -> Bool {
    try prepareStructural("DELETE FROM teams WHERE tenant = ?1 AND id = ?2").run([.text(tenant), .text(id)])
    return connection.changedRows > 0
  }

  func deleteProject(tenant: String, id: String) throws(StoreError) -> Bool {
    try prepareStructural("DELETE FROM projects WHERE tenant = ?1 AND id = ?2").run([.text(tenant), .text(id)])
    return connection.changedRows > 0
  }

  func deleteAgent(tenant: String, id: String) throws(StoreError) -> Bool {
    try prepareStructural("DELETE FROM agents WHERE tenant = ?1 AND id = ?2").run([.text(tenant), .text(id)])
    return connection.changedRows > 0
  }

  func deleteMembership(tenant: String, agent: String, scope: String, scopeID: String) throws(StoreError) -> Bool {
    try prepareStructural("DELETE FROM memberships WHERE tenant = ?1 AND agent = ?2 AND scope = ?3 AND scope_id = ?4")
      .run([.text(tenant), .text(agent), .text(scope), .text(scopeID)])
    return connection.changedRows > 0
  }

  func put(_ row: KeyUseRow) throws(StoreError) {
    try connection.prepare("REPLACE INTO key_uses (tenant, id, last_used_at, uses, mac) VALUES (?1, ?2, ?3, ?4, ?5)")
      .run([.text(row.tenant), .text(row.id), .integer(row.lastUsedAt), .integer(row.uses), .blob(row.mac)])
  }

  func put(_ row: ScopedSecretRow) throws(StoreError) {
    try connection.prepare(
      """
      REPLACE INTO scoped_secrets (tenant, scope, scope_id, secret_id, grave, incarnation, name, category, tags, created_at, created_by,
        deleted_at, purge_after, is_canary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
      """
    ).run(
      [
        .text(row.place.tenant), .text(row.place.scope), .text(row.place.scopeID), .text(row.secretID), .unsigned(row.grave),
        .unsigned(row.incarnation), .text(row.name), .text(row.category), .text(row.tags), .integer(row.createdAt), .text(row.createdBy),
        .optional(row.deletedAt), .optional(row.purgeAfter), .integer(row.isCanary ? 1 : 0),
      ])
    try connection.prepare(
      """
      INSERT INTO fields (tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, revision, field_versions,
        created_at, created_by, mac, sealed) VALUES (?1, ?2, '', 0, 'head', '', x'', ?3, ?4, ?5, ?6, ?7, ?8, x'')
      ON CONFLICT (tenant, incarnation, field_key, version) DO UPDATE SET kek_version = excluded.kek_version, revision = excluded.revision,
        field_versions = excluded.field_versions, created_at = excluded.created_at, created_by = excluded.created_by, mac = excluded.mac
      """
    ).run(row.head)
  }

  func updateHead(_ row: ScopedSecretRow) throws(StoreError) {
    try connection.prepare(
      """
      UPDATE fields SET kek_version = ?3, revision = ?4, field_versions = ?5, created_at = ?6, created_by = ?7, mac = ?8
      WHERE tenant = ?1 AND incarnation = ?2 AND field_key = '' AND version = 0
      """
    ).run(row.head)
    try requireChange()
  }

  func delete(_ row: ScopedSecretRow) throws(StoreError) {
    try connection.prepare(
      "DELETE FROM scoped_secrets WHERE tenant = ?1 AND scope = ?2 AND scope_id = ?3 AND secret_id = ?4 AND grave = ?5"
    ).run([.text(row.place.tenant), .text(row.place.scope), .text(row.place.scopeID), .text(row.secretID), .unsigned(row.grave)])
    try requireChange()
  }

  func resize(_ place: ScopeKey, by difference: Int64) throws(StoreError) -> Int64 {
    try connection.prepare(
      """
      INSERT INTO scope_sizes (tenant, scope, scope_id, live) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (tenant, scope, scope_id) DO UPDATE SET live = live + excluded.live RETURNING live
      """
    ).first([.text(place.tenant), .text(place.scope), .text(place.scopeID), .integer(difference)]) { $0.integer(0) } ?? 0
  }

  func insert(_ row: FieldRow) throws(StoreError) {
    try connection.prepare(
      """
      INSERT INTO fields (tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, revision, field_versions,
        created_at, created_by, purge_after, mac, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, '', ?9, ?10, ?11, ?12, ?13)
      """
    ).run(row.values)
  }

  func update(_ row: FieldRow) throws(StoreError) {
    try connection.prepare(
      """
      UPDATE fields SET state = ?5, sensitivity = ?6, data_key_id = ?7, kek_version = ?8, created_at = ?9, created_by = ?10,
        purge_after = ?11, mac = ?12, sealed = ?13 WHERE tenant = ?1 AND incarnation = ?2 AND field_key = ?3 AND version = ?4
      """
    ).run(row.values)
    try requireChange()
  }

  func deleteFieldVersions(tenant: String, incarnation: UInt64, key: String, through version: UInt64) throws(StoreError) {
    // One after the other, since there is one most times: SQLite notes the rows of a range in a table of its own before it deletes them.
    var version = version
    repeat {
      try connection.prepare("DELETE FROM fields WHERE tenant = ?1 AND incarnation = ?2 AND field_key = ?3 AND version = ?4")
        .run([.text(tenant), .unsigned(incarnation), .text(key), .unsigned(version)])
      version &-= 1
    } while version > 0 && connection.changedRows > 0
  }

  func deleteFields(tenant: String, incarnation: UInt64) throws(StoreError) {
    try connection.prepare("DELETE FROM fields WHERE tenant = ?1 AND incarnation = ?2").run([.text(tenant), .unsigned(incarnation)])
  }

  func insert(_ row: DataKeyRow) throws(StoreError) {
    try connection.prepare(
      """
      INSERT INTO data_keys (tenant, id, incarnation, field_key, field_version, digest, kek_version, bound_at, mac)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
      """
    ).run(
      [
        .text(row.tenant), .blob(row.id), .unsigned(row.incarnation), .text(row.fieldKey), .unsigned(row.fieldVersion), .blob(row.digest),
        .integer(Int64(row.kekVersion)), .integer(row.boundAt), .blob(row.mac),
      ])
  }

  func update(_ row: DataKeyRow) throws(StoreError) {
    try connection.prepare("UPDATE data_keys SET field_version = ?3, kek_version = ?4, mac = ?5 WHERE tenant = ?1 AND id = ?2")
      .run([.text(row.tenant), .blob(row.id), .unsigned(row.fieldVersion), .integer(Int64(row.kekVersion)), .blob(row.mac)])
    try requireChange()
  }

  func put(_ row: InviteRow) throws(StoreError) {
    try connection.prepare(
      """
      REPLACE INTO invites (tenant, id, label, digest, memberships, expires_at, max_uses, uses, created_at, created_by, revoked_at, mac)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
      """
    ).run(
      [
        .text(row.tenant), .text(row.id), .text(row.label), .blob(row.digest), .text(row.memberships), .integer(row.expiresAt),
        .integer(row.maxUses), .integer(row.uses), .integer(row.createdAt), .text(row.createdBy), .optional(row.revokedAt), .blob(row.mac),
      ])
  }

  func put(_ row: IdempotencyRow) throws(StoreError) {
    try connection.prepare(
      """
      REPLACE INTO idempotency (tenant, id, body_digest, status, entity_tag, created_at, mac, body)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      """
    ).run(
      [
        .text(row.tenant), .blob(row.id), .blob(row.bodyDigest), .integer(row.status), .text(row.entityTag), .integer(row.createdAt),
        .blob(row.mac), .blob(row.body),
      ])
  }

  func forgetAnswers(tenant: String, before time: Int64, limit: Int) throws(StoreError) {
    try connection.prepare(
      """
      DELETE FROM idempotency WHERE tenant = ?1 AND id IN (
        SELECT id FROM idempotency WHERE tenant = ?1 AND created_at < ?2 ORDER BY created_at LIMIT ?3)
      """
    ).run([.text(tenant), .integer(time), .integer(Int64(limit))])
  }
}

extension ScopedSecretRow {
  /// The last part of the key: 0 for the live one, else the incarnation.
  fileprivate var grave: UInt64 { deletedAt == nil ? 0 : incarnation }

  /// The values of its head.
  fileprivate var head: [8 of SQLiteStatement.Value] {
    [
      .text(place.tenant), .unsigned(incarnation), .integer(Int64(kekVersion)), .unsigned(revision), .text(fieldVersions),
      .integer(updatedAt), .text(updatedBy), .blob(mac),
    ]
  }
}

extension FieldRow {
  /// In the order of the columns.
  fileprivate var values: [13 of SQLiteStatement.Value] {
    [
      .text(tenant), .unsigned(incarnation), .text(fieldKey), .unsigned(version), .text(state.rawValue), .text(sensitivity),
      .blob(dataKeyID), .integer(Int64(kekVersion)), .integer(createdAt), .text(createdBy), .optional(purgeAfter), .blob(mac),
      .blob(sealed),
    ]
  }
}
