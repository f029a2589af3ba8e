/// The tables, as numbered steps that only go forward. A released step never changes.
enum Schema {
  /// "Cofr": marks the file as ours (PRAGMA application_id).
  static let applicationID: Int64 = 0x436F_6672
  static let version = steps.count

  /// What one step does.
  struct Step: Sendable {
    let statements: StaticString
    /// What statements cannot say, after them.
    var work: (@Sendable (SQLiteConnection) throws(StoreError) -> Void)?

    init(_ statements: StaticString, _ work: (@Sendable (SQLiteConnection) throws(StoreError) -> Void)? = nil) {
      self.statements = statements
      self.work = work
    }
  }

  static let steps: [Step] = [
    Step(foundation), Step(scopedDialect), Step(newestVersionsLast), Step(canaries),
    Step(auditRuns) { (connection) throws(StoreError) in try connection.makeAuditRuns() }, Step(proofs), Step(fieldsByVersion),
    Step(provenKEKs),
  ]

  /// Step 1.
  private static let foundation: StaticString = """
    CREATE TABLE records (
      name TEXT PRIMARY KEY,
      value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tenants (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      created_at INTEGER NOT NULL,
      active_kek_version INTEGER NOT NULL,
      next_sequence INTEGER NOT NULL DEFAULT 1,
      mac BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE keks (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      version INTEGER NOT NULL,
      kek_id BLOB NOT NULL,
      root_key_id TEXT NOT NULL,
      wrapped BLOB NOT NULL,
      created_at INTEGER NOT NULL,
      wraps_reserved INTEGER NOT NULL,
      PRIMARY KEY (tenant, version)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_keys (
      id TEXT PRIMARY KEY,
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      kind TEXT NOT NULL,
      role TEXT NOT NULL,
      name TEXT NOT NULL,
      digest BLOB NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      revoked_at INTEGER,
      mac BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id);

    CREATE TABLE documents (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      collection TEXT NOT NULL,
      name TEXT NOT NULL,
      incarnation INTEGER NOT NULL,
      version INTEGER NOT NULL,
      kek_version INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      sealed BLOB NOT NULL,
      PRIMARY KEY (tenant, collection, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE secrets (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      name TEXT NOT NULL,
      position INTEGER NOT NULL,
      description TEXT,
      incarnation INTEGER NOT NULL,
      version INTEGER NOT NULL,
      kek_version INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      sealed BLOB NOT NULL,
      PRIMARY KEY (tenant, name)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX secrets_in_order ON secrets (tenant, position);

    CREATE TABLE audit (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      sequence INTEGER NOT NULL,
      at TEXT NOT NULL,
      actor_type TEXT NOT NULL,
      actor_id TEXT NOT NULL,
      key_id TEXT NOT NULL,
      action TEXT NOT NULL,
      scope TEXT NOT NULL,
      scope_id TEXT NOT NULL,
      secret_id TEXT NOT NULL,
      field_key TEXT NOT NULL,
      revision TEXT NOT NULL,
      outcome TEXT NOT NULL,
      request_id TEXT NOT NULL,
      details TEXT NOT NULL,
      hash BLOB NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, sequence)
    ) STRICT, WITHOUT ROWID;
    """

  /// What goes with a tenant. A table with rows of tenants belongs here, unless it is the audit chain.
  static let tenantDeletions: [StaticString] = [
    "DELETE FROM keks WHERE tenant = ?1",
    "DELETE FROM api_keys WHERE tenant = ?1",
    "DELETE FROM documents WHERE tenant = ?1",
    "DELETE FROM secrets WHERE tenant = ?1",
    "DELETE FROM key_uses WHERE tenant = ?1",
    "DELETE FROM teams WHERE tenant = ?1",
    "DELETE FROM projects WHERE tenant = ?1",
    "DELETE FROM agents WHERE tenant = ?1",
    "DELETE FROM memberships WHERE tenant = ?1",
    "DELETE FROM scoped_secrets WHERE tenant = ?1",
    "DELETE FROM scope_sizes WHERE tenant = ?1",
    "DELETE FROM fields WHERE tenant = ?1",
    "DELETE FROM data_keys WHERE tenant = ?1",
    "DELETE FROM invites WHERE tenant = ?1",
    "DELETE FROM idempotency WHERE tenant = ?1",
    "DELETE FROM canary_alerts WHERE tenant = ?1",
  ]

  /// Brings the file to the version of `steps`, all of them in one transaction. A newer file is refused untouched.
  static func migrate(_ connection: SQLiteConnection, through steps: [Step] = steps) throws(StoreError) {
    let found = try check(connection, knowing: steps.count)
    guard found < steps.count else { return }
    try connection.execute("BEGIN IMMEDIATE")
    do throws(StoreError) {
      for step in steps[found...] {
        try connection.executeScript(step.statements)
        try step.work?(connection)
      }
      try connection.executeScript("PRAGMA application_id=1131374194")
      try connection.setUserVersion(steps.count)
      try connection.execute("COMMIT")
    } catch {
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
      throw error
    }
  }

  /// The file's schema version: 0 for an empty file. Changes nothing.
  static func check(_ connection: SQLiteConnection, knowing version: Int = version) throws(StoreError) -> Int {
    let application = try connection.prepare("PRAGMA application_id").first { $0.integer(0) } ?? 0
    let found = Int(try connection.prepare("PRAGMA user_version").first { $0.integer(0) } ?? 0)
    let isEmpty = try connection.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").first { _ in true } == nil
    if isEmpty, application == 0, found == 0 { return 0 }
    guard application == applicationID, found > 0 else { throw .corrupt }
    guard found <= version else { throw .newerSchema(found: found, supported: version) }
    return found
  }

  /// Every table, index and view as a text of its own, in order. Two files of one schema have the same.
  static func parts(of connection: SQLiteConnection) throws(StoreError) -> [String] {
    try connection.prepare("SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
      .all { $0.text(0) }
  }
}
