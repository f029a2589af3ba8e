extension SQLiteConnection {
  /// What is wrong with the file: its pages and indexes, rows of tenants that are not there, what contradicts itself, and tables,
  /// indexes or triggers that no step of the schema made. Texts of SQLite name tables, rows and pages, never what is in them.
  func damage() throws(StoreError) -> [String] {
    var lines = try prepare("PRAGMA integrity_check(100)").all { $0.text(0) }.filter { $0 != "ok" }
    let orphans = Set(try prepare("PRAGMA foreign_key_check").all { $0.text(0) })
    lines += orphans.sorted().map(Self.orphaned)
    let expected = Set(try Schema.parts(of: Self.reference()))
    let found = Set(try Schema.parts(of: self))
    lines += expected.subtracting(found).sorted().map { "missing or changed: \(Self.title($0))" }
    lines += found.subtracting(expected).sorted().map { "not made by Coffer: \(Self.title($0))" }
    guard found == expected else { return lines }
    for (line, query) in Self.contradictions where try prepare(query).first(read: { _ in true }) != nil { lines.append("\(line)") }
    lines += try tenantsWithDamagedAuditRuns().map { "the index of the audit chain of \($0) does not fit its entries" }
    return lines
  }

  private static func orphaned(_ table: String) -> String { "\(table) holds rows of a tenant that is not there" }

  /// What no writing leaves behind, and no row's MAC tells: a query that finds a row, and what that means.
  private static let contradictions: [(line: StaticString, query: StaticString)] = [
    // The one table with a tenant and without a foreign key.
    (
      "scope_sizes holds rows of a tenant that is not there",
      "SELECT 1 FROM scope_sizes WHERE tenant NOT IN (SELECT id FROM tenants) LIMIT 1"
    ),
    // Whoever lowers a count gets past a limit.
    (
      "scope_sizes does not say how many secrets there are",
      """
      WITH found AS (
        SELECT tenant, scope, scope_id, count(*) AS live FROM scoped_secrets WHERE grave = 0 GROUP BY tenant, scope, scope_id),
      told AS (SELECT tenant, scope, scope_id, live FROM scope_sizes WHERE live <> 0)
      SELECT 1 FROM (SELECT * FROM found EXCEPT SELECT * FROM told) UNION ALL SELECT 1 FROM (SELECT * FROM told EXCEPT SELECT * FROM found)
      LIMIT 1
      """
    ),
    // What only says where a row lies is under no MAC.
    (
      "scoped_secrets holds a row in the place of another",
      "SELECT 1 FROM scoped_secrets WHERE grave <> iif(deleted_at IS NULL, 0, incarnation) LIMIT 1"
    ),
    // What is reached by its owner alone is not reached without it.
    (
      "fields holds rows of a secret that is not there",
      "SELECT 1 FROM fields WHERE (tenant, incarnation) NOT IN (SELECT tenant, incarnation FROM scoped_secrets) LIMIT 1"
    ),
    (
      "scoped_secrets holds a secret without a head",
      """
      SELECT 1 FROM scoped_secrets AS s WHERE NOT EXISTS (
        SELECT 1 FROM fields WHERE tenant = s.tenant AND incarnation = s.incarnation AND field_key = '' AND version = 0) LIMIT 1
      """
    ),
    (
      "fields holds an earlier version that is removed, or a retained one with none behind it",
      """
      SELECT 1 FROM fields AS f WHERE state IN ('removed', 'retained') AND (state = 'removed') = EXISTS (
        SELECT 1 FROM fields AS later WHERE later.tenant = f.tenant AND later.incarnation = f.incarnation
          AND later.field_key = f.field_key AND later.version > f.version) LIMIT 1
      """
    ),
    (
      "memberships holds rows of an agent that is not there",
      """
      SELECT 1 FROM memberships WHERE NOT EXISTS (SELECT 1 FROM agents WHERE agents.tenant = memberships.tenant AND id = agent) LIMIT 1
      """
    ),
    // Pages begin behind an empty name.
    (
      "a row has no name",
      """
      SELECT 1 FROM tenants WHERE id = '' UNION ALL SELECT 1 FROM api_keys WHERE id = '' UNION ALL
      SELECT 1 FROM teams WHERE id = '' UNION ALL SELECT 1 FROM projects WHERE id = '' UNION ALL
      SELECT 1 FROM agents WHERE id = '' UNION ALL SELECT 1 FROM invites WHERE id = '' UNION ALL
      SELECT 1 FROM key_uses WHERE id = '' UNION ALL SELECT 1 FROM canary_alerts WHERE place = '' UNION ALL
      SELECT 1 FROM idempotency WHERE id = x'' UNION ALL SELECT 1 FROM data_keys WHERE id = x'' LIMIT 1
      """
    ),
    // What reads as another value, or is not read: a MAC is made of what was read.
    (
      "fields holds a state that Coffer does not write",
      "SELECT 1 FROM fields WHERE field_key <> '' AND state NOT IN ('current', 'removed', 'retained') LIMIT 1"
    ),
    (
      "fields holds what only heads have, or the other way round",
      """
      SELECT 1 FROM fields WHERE field_key <> '' AND (revision <> 0 OR field_versions <> '') OR field_key = '' AND (
        version <> 0 OR state <> 'head' OR sensitivity <> '' OR data_key_id <> x'' OR purge_after IS NOT NULL OR sealed <> x'') LIMIT 1
      """
    ),
    (
      "a canary's mark is neither 0 nor 1",
      "SELECT 1 FROM secrets WHERE is_canary NOT IN (0, 1) UNION ALL SELECT 1 FROM scoped_secrets WHERE is_canary NOT IN (0, 1) LIMIT 1"
    ),
    (
      "api_keys holds what a key of its kind does not have",
      """
      SELECT 1 FROM api_keys WHERE is_retiring NOT IN (0, 1) OR agent IS NOT NULL AND parent IS NULL OR agent IS NULL AND (
        parent IS NOT NULL OR grants IS NOT NULL OR created_by IS NOT NULL OR max_uses IS NOT NULL OR is_retiring <> 0) LIMIT 1
      """
    ),
  ]

  /// An empty database of this program's schema.
  private static func reference() throws(StoreError) -> SQLiteConnection {
    let connection = try SQLiteConnection(path: ":memory:", role: .maker)
    try Schema.migrate(connection)
    return connection
  }

  private static func title(_ part: String) -> Substring { part.prefix { $0 != ":" } }
}
