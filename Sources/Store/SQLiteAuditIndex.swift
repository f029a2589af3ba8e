// The runs of the audit chains in the file: how they come, how a history reads them, and whether they fit the chains.

extension AuditRun.Level {
  fileprivate var number: SQLiteStatement.Value { .integer(rawValue) }
}

extension SQLiteConnection {
  /// To be called in the transaction of every audit entry, after it.
  func noteAudit(tenant: String, through sequence: Int64) throws(StoreError) {
    guard (sequence + 1) % AuditRun.Level.short.span == 0 else { return }
    let first = AuditRun.Level.short.first(for: sequence)
    try insert(try rowsOfEntries(tenant: tenant, .short, from: first), tenant: tenant)
    if (sequence + 1) % AuditRun.Level.merged.span == 0 {
      try merge(tenant: tenant, from: AuditRun.Level.merged.first(for: sequence))
    }
  }

  /// Puts the short runs of one merged run together, one row after the other. Where one cannot be read, the entries tell once more.
  private func merge(tenant: String, from first: Int64) throws(StoreError) {
    let level = AuditRun.Level.merged
    let runs = try shortRuns(tenant: tenant, from: first)
    if var merge = AuditRunMerge(runs, into: first) {
      for bucket in 0..<level.buckets { try insert([merge.row(bucket)], tenant: tenant) }
    } else {
      try insert(try rowsOfEntries(tenant: tenant, level, from: first), tenant: tenant)
    }
    for run in runs {
      try prepare("DELETE FROM audit_runs WHERE tenant = ?1 AND level = ?2 AND bucket = 0 AND first = ?3")
        .run([.text(tenant), AuditRun.Level.short.number, .integer(run.first)])
    }
  }

  private func insert(_ rows: [AuditRun], tenant: String) throws(StoreError) {
    for row in rows where !row.marks.isEmpty {
      try prepare("INSERT INTO audit_runs (tenant, level, bucket, first, marks) VALUES (?1, ?2, ?3, ?4, ?5)")
        .run([.text(tenant), row.level.number, .integer(row.bucket), .integer(row.first), .blob(row.bytes)])
    }
  }

  /// The rows of one run, from the entries themselves.
  private func rowsOfEntries(tenant: String, _ level: AuditRun.Level, from first: Int64) throws(StoreError) -> [AuditRun] {
    let marks = try prepare(
      """
      SELECT sequence, scope, scope_id, secret_id FROM audit
      WHERE tenant = ?1 AND sequence >= ?2 AND sequence < ?3 AND scope <> ''
      """
    ).all([.text(tenant), .integer(first), .integer(first + level.span)]) { row in
      AuditRun.Mark(AuditRun.hash(row.text(1), row.text(2), row.text(3)), distance: row.integer(0) - first)
    }.sorted()
    return AuditRun.rows(of: marks, level, from: first)
  }

  /// The short runs of one merged run, as they are stored.
  private func shortRuns(tenant: String, from first: Int64) throws(StoreError) -> [(first: Int64, marks: [UInt8])] {
    try prepare("SELECT first, marks FROM audit_runs WHERE tenant = ?1 AND level = ?2 AND bucket = 0 AND first >= ?3 AND first < ?4")
      .all([.text(tenant), AuditRun.Level.short.number, .integer(first), .integer(first + AuditRun.Level.merged.span)]) {
        (first: $0.integer(0), marks: $0.blob(1))
      }
  }

  /// Forgets the runs of entries that are no more. The first run that is left may tell of some of them.
  func trimAuditRuns(tenant: String, through sequence: Int64) throws(StoreError) {
    for level in AuditRun.Level.allCases {
      try prepare("DELETE FROM audit_runs WHERE tenant = ?1 AND level = ?2 AND first <= ?3")
        .run([.text(tenant), level.number, .integer(sequence + 1 - level.span)])
    }
  }

  /// Makes the runs of a file that has none.
  func makeAuditRuns() throws(StoreError) {
    for chain in try auditChains() where chain.isPlausible {
      var entry: Int64? = chain.oldest
      while let sequence = entry {
        let end = AuditRun.Level.short.first(for: sequence) + AuditRun.Level.short.span
        if end <= chain.newest + 1 { try noteAudit(tenant: chain.tenant, through: end - 1) }
        entry = try firstEntry(tenant: chain.tenant, from: end)
      }
    }
  }

  private struct Chain {
    let tenant: String
    let oldest: Int64
    let newest: Int64

    /// Whether sequences can be counted on from these: a file may have been changed by hand.
    var isPlausible: Bool { oldest > 0 && AuditHead.sequences.contains(newest) }
  }

  private func firstEntry(tenant: String, from sequence: Int64) throws(StoreError) -> Int64? {
    try prepare("SELECT sequence FROM audit WHERE tenant = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1")
      .first([.text(tenant), .integer(sequence)]) { $0.integer(0) }
  }

  /// Those with entries.
  private func auditChains() throws(StoreError) -> [Chain] {
    try prepare(
      """
      SELECT id, (SELECT min(sequence) FROM audit WHERE tenant = id), (SELECT max(sequence) FROM audit WHERE tenant = id) FROM tenants
      """
    ).all { row in row.isNull(1) ? nil : Chain(tenant: row.text(0), oldest: row.integer(1), newest: row.integer(2)) }.compactMap { $0 }
  }

  // MARK: - Damage

  /// The tenants whose runs are not what the entries of their chain make.
  func tenantsWithDamagedAuditRuns() throws(StoreError) -> [String] {
    var rows = try prepare("SELECT count(*) FROM audit_runs").first { $0.integer(0) } ?? 0
    var damaged: [String] = []
    let chains = try auditChains()
    for chain in chains {
      let (fits, count) = chain.isPlausible ? try compareRuns(of: chain) : (false, 0)
      rows -= count
      if !fits { damaged.append(chain.tenant) }
    }
    // Rows that belong to no part of any chain.
    if rows > 0, damaged.isEmpty {
      damaged = try prepare("SELECT DISTINCT tenant FROM audit_runs").all { $0.text(0) }
    }
    return damaged
  }

  /// Whether the runs fit the chain, and how many rows were compared.
  private func compareRuns(of chain: Chain) throws(StoreError) -> (fits: Bool, rows: Int64) {
    var (fits, rows) = (true, Int64(0))
    var entry: Int64? = chain.oldest
    while let sequence = entry {
      let first = AuditRun.Level.merged.first(for: sequence)
      let end = min(first + AuditRun.Level.merged.span, chain.newest + 1)
      let level: AuditRun.Level = end - first == AuditRun.Level.merged.span ? .merged : .short
      var expected: [AuditRun] = []
      for start in stride(from: first, through: end - level.span, by: Int(level.span)) {
        expected += try rowsOfEntries(tenant: chain.tenant, level, from: start)
      }
      let stored = try storedRuns(tenant: chain.tenant, from: first)
      rows += Int64(stored.count)
      fits =
        fits && expected == stored.compactMap { $0.map { Self.withoutTrimmed($0, chain) } }.filter { !$0.marks.isEmpty }
        && !stored.contains { $0 == nil }
      entry = try firstEntry(tenant: chain.tenant, from: first + AuditRun.Level.merged.span)
    }
    return (fits, rows)
  }

  private static func withoutTrimmed(_ run: AuditRun, _ chain: Chain) -> AuditRun {
    AuditRun(level: run.level, bucket: run.bucket, first: run.first, marks: run.marks.filter { run.first + $0.distance >= chain.oldest })
  }

  /// Every row within one merged run, in order; nil for one that cannot be read.
  private func storedRuns(tenant: String, from first: Int64) throws(StoreError) -> [AuditRun?] {
    var rows: [AuditRun?] = []
    for level in AuditRun.Level.allCases {
      for bucket in 0..<level.buckets {
        rows += try prepare(
          "SELECT first, marks FROM audit_runs WHERE tenant = ?1 AND level = ?2 AND bucket = ?3 AND first >= ?4 AND first < ?5 ORDER BY first"
        ).all(
          [.text(tenant), level.number, .integer(bucket), .integer(first), .integer(first + AuditRun.Level.merged.span)]
        ) { row in
          AuditRun.marks(row.blob(1))
            .map { AuditRun(level: level, bucket: bucket, first: row.integer(0), marks: $0) }
        }
      }
    }
    return rows
  }
}

extension SQLiteReading {
  func auditEntries(_ place: ScopeKey, secret: String, before sequence: Int64, limit: Int) throws(StoreError) -> [AuditRow] {
    let newest = try auditHead(tenant: place.tenant)?.sequence ?? 0
    // The first that no run tells of.
    let end = AuditRun.Level.short.first(for: newest + 1)
    var found = try entries(of: place, secret, from: end, before: sequence, limit: limit)
    let hash = AuditRun.hash(place.scope, place.scopeID, secret)
    for level in AuditRun.Level.allCases {
      var last = min(end, sequence)
      while found.count < limit, let run = try marked(hash, level, tenant: place.tenant, before: last) {
        for marked in run.sequences.reversed() where marked < sequence && found.count < limit {
          // None where the entry tells of another place with the same hash, or was trimmed.
          found += try entries(of: place, secret, from: marked, before: marked + 1, limit: 1)
        }
        last = run.first
      }
    }
    return found
  }

  private func entries(of place: ScopeKey, _ secret: String, from first: Int64, before sequence: Int64, limit: Int) throws(StoreError)
    -> [AuditRow]
  {
    try connection.prepare(
      """
      SELECT tenant, sequence, at, actor_type, actor_id, key_id, action, scope, scope_id, secret_id, field_key, revision, outcome,
        request_id, details, hash, mac FROM audit
      WHERE tenant = ?1 AND sequence >= ?5 AND sequence < ?6 AND secret_id = ?4 AND scope_id = ?3 AND scope = ?2
      ORDER BY sequence DESC LIMIT ?7
      """
    ).all(
      [
        .text(place.tenant), .text(place.scope), .text(place.scopeID), .text(secret), .integer(first), .integer(sequence),
        .integer(Int64(limit)),
      ], read: AuditRow.init)
  }

  /// The newest row of a level for that hash which begins before a sequence.
  private func marked(_ hash: UInt32, _ level: AuditRun.Level, tenant: String, before sequence: Int64) throws(StoreError)
    -> (first: Int64, sequences: [Int64])?
  {
    let found = try connection.prepare(
      """
      SELECT first, marks FROM audit_runs WHERE tenant = ?1 AND level = ?2 AND bucket = ?3 AND first < ?4
      ORDER BY first DESC LIMIT 1
      """
    ).first([.text(tenant), level.number, .integer(level.bucket(of: hash)), .integer(sequence)]) { row in
      (row.integer(0), AuditRun.distances(of: hash, in: row.blob(1)))
    }
    guard let (first, distances) = found else { return nil }
    guard let distances else { throw .corrupt }
    return (first, distances.map { first + $0 })
  }
}
