extension Schema {
  /// Step 2: the scoped dialect. Tenant first in every key; values last in their rows, so that lists do not read them.
  static let scopedDialect: StaticString = """
    ALTER TABLE tenants ADD COLUMN settings TEXT NOT NULL DEFAULT '';

    ALTER TABLE api_keys ADD COLUMN agent TEXT;
    ALTER TABLE api_keys ADD COLUMN parent TEXT;
    ALTER TABLE api_keys ADD COLUMN grants TEXT;
    ALTER TABLE api_keys ADD COLUMN created_by TEXT;
    ALTER TABLE api_keys ADD COLUMN max_uses INTEGER;
    ALTER TABLE api_keys ADD COLUMN is_retiring INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX api_keys_of_agent ON api_keys (tenant, agent, id) WHERE agent IS NOT NULL;

    CREATE TABLE key_uses (
      tenant TEXT NOT NULL,
      id TEXT NOT NULL,
      last_used_at INTEGER NOT NULL,
      uses INTEGER NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE teams (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      name TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE projects (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      name TEXT NOT NULL,
      team TEXT,
      created_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE agents (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      name TEXT NOT NULL,
      description TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      disabled_at INTEGER,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE memberships (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      agent TEXT NOT NULL,
      scope TEXT NOT NULL,
      scope_id TEXT NOT NULL,
      role TEXT NOT NULL,
      priority INTEGER NOT NULL,
      expires_at INTEGER,
      created_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, agent, scope, scope_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX memberships_of_scope ON memberships (tenant, scope, scope_id, agent);

    CREATE TABLE scoped_secrets (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      scope TEXT NOT NULL,
      scope_id TEXT NOT NULL,
      secret_id TEXT NOT NULL,
      grave INTEGER NOT NULL,
      incarnation INTEGER NOT NULL,
      name TEXT NOT NULL,
      category TEXT NOT NULL,
      tags TEXT NOT NULL,
      revision INTEGER NOT NULL,
      kek_version INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      updated_by TEXT NOT NULL,
      deleted_at INTEGER,
      purge_after INTEGER,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, scope, scope_id, secret_id, grave)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX scoped_secrets_due ON scoped_secrets (tenant, purge_after) WHERE purge_after IS NOT NULL;

    CREATE TABLE scope_sizes (
      tenant TEXT NOT NULL,
      scope TEXT NOT NULL,
      scope_id TEXT NOT NULL,
      live INTEGER NOT NULL,
      PRIMARY KEY (tenant, scope, scope_id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE fields (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      incarnation INTEGER NOT NULL,
      past INTEGER NOT NULL,
      field_key TEXT NOT NULL,
      version INTEGER NOT NULL,
      state TEXT NOT NULL,
      sensitivity TEXT NOT NULL,
      data_key_id BLOB NOT NULL,
      kek_version INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      purge_after INTEGER,
      mac BLOB NOT NULL,
      sealed BLOB NOT NULL,
      PRIMARY KEY (tenant, incarnation, past, field_key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE data_keys (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id BLOB NOT NULL,
      incarnation INTEGER NOT NULL,
      field_key TEXT NOT NULL,
      field_version INTEGER NOT NULL,
      digest BLOB NOT NULL,
      kek_version INTEGER NOT NULL,
      bound_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE invites (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL UNIQUE,
      label TEXT NOT NULL,
      digest BLOB NOT NULL,
      memberships TEXT NOT NULL,
      expires_at INTEGER NOT NULL,
      max_uses INTEGER NOT NULL,
      uses INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      revoked_at INTEGER,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE idempotency (
      tenant TEXT NOT NULL,
      id BLOB NOT NULL,
      body_digest BLOB NOT NULL,
      status INTEGER NOT NULL,
      entity_tag TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      body BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_by_age ON idempotency (tenant, created_at);

    CREATE INDEX audit_of_secret ON audit (tenant, scope, scope_id, secret_id, sequence) WHERE scope <> '';
    """

  /// Step 3: the newest version of a field lies beside the one before it, so that a change writes one page and not two.
  static let newestVersionsLast: StaticString = """
    UPDATE fields SET past = 9223372036854775807 WHERE past = 0;
    """

  /// Step 4: canary secrets. The flag stands last in its rows, behind the sealed value, and is 0 or 1: SQLite keeps these two in
  /// the row's header, so that reading it reads no value (sqlite.org/fileformat2.html, section 2.1). The indexes hold canaries
  /// alone. What was seen of one is apart from its row, since it changes without anybody's decision.
  static let canaries: StaticString = """
    ALTER TABLE secrets ADD COLUMN is_canary INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX canaries_of_secrets ON secrets (tenant, name) WHERE is_canary = 1;

    ALTER TABLE scoped_secrets ADD COLUMN is_canary INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX canaries_of_scoped_secrets ON scoped_secrets (tenant, scope, scope_id, secret_id, grave) WHERE is_canary = 1;

    CREATE TABLE canary_alerts (
      tenant TEXT NOT NULL,
      place TEXT NOT NULL,
      alerts INTEGER NOT NULL,
      last_at INTEGER NOT NULL,
      PRIMARY KEY (tenant, place)
    ) STRICT, WITHOUT ROWID;
    """

  /// Step 5: histories find their entries by runs (`AuditRun`), no longer by an index of SQLite's.
  static let auditRuns: StaticString = """
    DROP INDEX audit_of_secret;

    CREATE TABLE audit_runs (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      level INTEGER NOT NULL,
      bucket INTEGER NOT NULL,
      first INTEGER NOT NULL,
      marks BLOB NOT NULL,
      PRIMARY KEY (tenant, level, bucket, first)
    ) STRICT, WITHOUT ROWID;
    """

  /// Step 6: what was stored under no MAC gets one. Nobody read the times of documents. Kept answers, uses of keys and counts of alerts
  /// that no key has proven are not believed: they go.
  static let proofs: StaticString = """
    ALTER TABLE documents DROP COLUMN created_at;
    ALTER TABLE documents DROP COLUMN updated_at;

    DROP TABLE key_uses;
    CREATE TABLE key_uses (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      last_used_at INTEGER NOT NULL,
      uses INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;

    DROP TABLE canary_alerts;
    CREATE TABLE canary_alerts (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      place TEXT NOT NULL,
      alerts INTEGER NOT NULL,
      last_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      PRIMARY KEY (tenant, place)
    ) STRICT, WITHOUT ROWID;

    DROP TABLE idempotency;
    CREATE TABLE idempotency (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id BLOB NOT NULL,
      body_digest BLOB NOT NULL,
      status INTEGER NOT NULL,
      entity_tag TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      mac BLOB NOT NULL,
      body BLOB NOT NULL,
      PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_by_age ON idempotency (tenant, created_at);
    """

  /// Step 7: a version of a field lies where it was written until it is destroyed, and then it is gone: the audit chain tells of it.
  /// What every change of a field changes of its secret is a row beside them, its head, with no field key: so that such a change
  /// writes one page. What says that it is destroyed, but was not, stays for verification to find. The head names the newest version of each field, and its MAC is of the whole secret.
  static let fieldsByVersion: StaticString = """
    CREATE TABLE new_fields (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      incarnation INTEGER NOT NULL,
      field_key TEXT NOT NULL,
      version INTEGER NOT NULL,
      state TEXT NOT NULL,
      sensitivity TEXT NOT NULL,
      data_key_id BLOB NOT NULL,
      kek_version INTEGER NOT NULL,
      revision INTEGER NOT NULL,
      field_versions TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      purge_after INTEGER,
      mac BLOB NOT NULL,
      sealed BLOB NOT NULL,
      PRIMARY KEY (tenant, incarnation, field_key, version)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO new_fields SELECT tenant, incarnation, '', 0, 'head', '', x'', kek_version, revision, '', updated_at, updated_by, NULL, mac,
      x'' FROM scoped_secrets;
    INSERT INTO new_fields SELECT tenant, incarnation, field_key, version, state, sensitivity, data_key_id, kek_version, 0, '', created_at,
      created_by, purge_after, mac, sealed FROM fields
      WHERE NOT (state = 'destroyed' AND sealed = x'' AND past < 9223372036854775807);
    DROP TABLE fields;
    ALTER TABLE new_fields RENAME TO fields;

    CREATE TABLE new_secrets (
      tenant TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      scope TEXT NOT NULL,
      scope_id TEXT NOT NULL,
      secret_id TEXT NOT NULL,
      grave INTEGER NOT NULL,
      incarnation INTEGER NOT NULL,
      name TEXT NOT NULL,
      category TEXT NOT NULL,
      tags TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      deleted_at INTEGER,
      purge_after INTEGER,
      is_canary INTEGER NOT NULL,
      PRIMARY KEY (tenant, scope, scope_id, secret_id, grave)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO new_secrets SELECT tenant, scope, scope_id, secret_id, grave, incarnation, name, category, tags, created_at, created_by,
      deleted_at, purge_after, is_canary FROM scoped_secrets;
    DROP TABLE scoped_secrets;
    ALTER TABLE new_secrets RENAME TO scoped_secrets;
    CREATE INDEX scoped_secrets_due ON scoped_secrets (tenant, purge_after) WHERE purge_after IS NOT NULL;
    CREATE INDEX canaries_of_scoped_secrets ON scoped_secrets (tenant, scope, scope_id, secret_id, grave) WHERE is_canary = 1;

    CREATE VIEW whole_secrets AS
    SELECT s.tenant, s.scope, s.scope_id, s.secret_id, s.grave, s.incarnation, s.name, s.category, s.tags, h.revision, h.kek_version,
      s.created_at, h.created_at AS updated_at, s.created_by, h.created_by AS updated_by, s.deleted_at, s.purge_after, h.mac, s.is_canary,
      h.field_versions
    FROM scoped_secrets s LEFT JOIN fields h
      ON h.tenant = s.tenant AND h.incarnation = s.incarnation AND h.field_key = '' AND h.version = 0;
    """

  /// Step 8: rows of KEKs get a MAC. Only who has the root key can make them: until then they have none, and open nothing.
  static let provenKEKs: StaticString = """
    ALTER TABLE keks ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
    """
}
