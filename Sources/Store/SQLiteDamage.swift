extension SQLiteConnection {
  /// What is wrong with the file: its pages and indexes, rows of tenants that are not there, and tables, indexes or triggers
  /// that no step of the schema made. Texts of SQLite name tables, rows and pages, never what is in them.
  func damage() throws(StoreError) -> [String] {
    var lines = try prepare("PRAGMA integrity_check(100)").all { $0.text(0) }.filter { $0 != "ok" }
    let orphans = Set(try prepare("PRAGMA foreign_key_check").all { $0.text(0) })
    lines += orphans.sorted().map { "\($0) holds rows of a tenant that is not there" }
    let expected = Set(try Schema.parts(of: Self.reference()))
    let found = Set(try Schema.parts(of: self))
    lines += expected.subtracting(found).sorted().map { "missing or changed: \(Self.title($0))" }
    lines += found.subtracting(expected).sorted().map { "not made by Coffer: \(Self.title($0))" }
    guard found == expected else { return lines }
    lines += try tenantsWithDamagedAuditRuns().map { "the index of the audit chain of \($0) does not fit its entries" }
    return lines
  }

  /// An empty database of this program's schema.
  private static func reference() throws(StoreError) -> SQLiteConnection {
    let connection = try SQLiteConnection(path: ":memory:", role: .maker)
    try Schema.migrate(connection)
    return connection
  }

  private static func title(_ part: String) -> Substring { part.prefix { $0 != ":" } }
}
