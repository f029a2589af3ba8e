internal import CSQLite

/// One SQLite connection, confined to one thread at a time.
///
/// Result codes are checked at the call; SQL is constant text; values are bound (sqlite.org/rescode.html).
@safe final class SQLiteConnection {
  enum Role: Equatable {
    /// The one connection on the machine that writes and checkpoints.
    case writer
    case reader
    /// The only connection to a file that is being made, or to a database in memory: no log, and synced by whoever makes it.
    case maker
  }

  /// Milliseconds to wait for another connection.
  private static let patience: Int32 = 2_000

  let handle: OpaquePointer
  private var statements: [UnsafeRawPointer: SQLiteStatement] = unsafe [:]
  private let room = BindingRoom()
  /// Whether the next statement is to begin a transaction first.
  var beginsWhenUsed = false

  /// Without SQLite's count of its memory, which nobody reads: each allocation of each thread would wait for one lock.
  private static let isPrepared = coffer_sqlite_count_memory(0) == SQLITE_OK

  init(path: String, role: Role) throws(StoreError) {
    guard Self.isPrepared else { throw .unavailable(.ioError) }
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_READWRITE | (role == .reader ? 0 : SQLITE_OPEN_CREATE)
    let code = unsafe sqlite3_open_v2(path, &opened, flags, role == .writer ? SQLiteLogFile.fileSystem : nil)
    guard code == SQLITE_OK, let opened = unsafe opened else {
      unsafe sqlite3_close(opened)
      throw StoreError(sqlite: code)
    }
    unsafe handle = opened
    unsafe sqlite3_extended_result_codes(handle, 1)
    unsafe sqlite3_busy_timeout(handle, Self.patience)
    try configure(role, path)
  }

  deinit {
    unsafe statements.removeAll()
    unsafe sqlite3_close(handle)
  }

  /// Each setting is read back: one that did not take is a refusal, not a hope.
  private func configure(_ role: Role, _ path: String) throws(StoreError) {
    try defend()
    if role == .maker {
      try set("PRAGMA journal_mode=MEMORY", reading: "PRAGMA journal_mode", expecting: "memory")
      try set("PRAGMA synchronous=OFF", reading: "PRAGMA synchronous", expecting: "0")
    } else {
      try set("PRAGMA journal_mode=WAL", reading: "PRAGMA journal_mode", expecting: "wal")
      try set("PRAGMA synchronous=FULL", reading: "PRAGMA synchronous", expecting: "2")
    }
    try set("PRAGMA foreign_keys=ON", reading: "PRAGMA foreign_keys", expecting: "1")
    try set("PRAGMA trusted_schema=OFF", reading: "PRAGMA trusted_schema", expecting: "0")
    try set("PRAGMA secure_delete=ON", reading: "PRAGMA secure_delete", expecting: "1")
    try set("PRAGMA temp_store=MEMORY", reading: "PRAGMA temp_store", expecting: "2")
    try set("PRAGMA mmap_size=0", reading: "PRAGMA mmap_size", expecting: "0")
    switch role {
    case .writer:
      try setCache(768)
      try set("PRAGMA wal_autocheckpoint=2000", reading: "PRAGMA wal_autocheckpoint", expecting: "2000")
    case .reader:
      try setCache(Self.readerCache(for: SQLiteStore.size(path)))
      // Two checkpointers can corrupt the file in SQLite before 3.51.3 (the WAL-reset race).
      try set("PRAGMA wal_autocheckpoint=0", reading: "PRAGMA wal_autocheckpoint", expecting: "0")
      try set("PRAGMA query_only=ON", reading: "PRAGMA query_only", expecting: "1")
    case .maker: try setCache(1024)
    }
  }

  /// KiB for a file of so many bytes. Every thread that reads has a connection; what it does not keep, the system's page cache has. With
  /// 512 KiB, lists of a large store would find none of the pages that the one before has read.
  static func readerCache(for bytes: UInt64) -> Int64 { Int64(min(max(512, bytes / 128 / 1024), 8192)) }

  /// A pragma takes no bound value.
  private func setCache(_ kibibytes: Int64) throws(StoreError) {
    let code = unsafe sqlite3_exec(handle, "PRAGMA cache_size=-\(kibibytes)", nil, nil, nil)
    guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
    guard try prepare("PRAGMA cache_size").first(read: { $0.integer(0) }) == -kibibytes else { throw .unavailable(.readOnly) }
  }

  private func defend() throws(StoreError) {
    for (option, value) in [
      (SQLITE_DBCONFIG_DEFENSIVE, Int32(1)), (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0), (SQLITE_DBCONFIG_DQS_DML, 0),
      (SQLITE_DBCONFIG_DQS_DDL, 0), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1),
    ] {
      var now: Int32 = -1
      guard unsafe coffer_sqlite_config(handle, option, value, &now) == SQLITE_OK, now == value else { throw .corrupt }
    }
  }

  private func set(_ pragma: StaticString, reading query: StaticString, expecting value: String) throws(StoreError) {
    // mmap_size answers nothing when the build has no mmap.
    try execute(pragma)
    let found = try prepare(query).first { $0.text(0) }
    guard found == value || (found == nil && value == "0") else { throw .unavailable(.readOnly) }
  }

  /// The kept statement for `sql`, reset and without bindings.
  func prepare(_ sql: StaticString) throws(StoreError) -> SQLiteStatement {
    if beginsWhenUsed {
      beginsWhenUsed = false
      if !isInTransaction { try execute("BEGIN") }
    }
    let key = unsafe UnsafeRawPointer(sql.utf8Start)
    if let kept = unsafe statements[key] { return kept }
    let statement = try unsafe SQLiteStatement(sql, on: handle, room)
    unsafe statements[key] = statement
    return statement
  }

  func execute(_ sql: StaticString) throws(StoreError) { try prepare(sql).run() }

  /// Several statements without values, for migrations.
  func executeScript(_ sql: StaticString) throws(StoreError) {
    let code = unsafe sqlite3_exec(handle, sql.utf8Start, nil, nil, nil)
    guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
  }

  /// A pragma takes no bound value.
  func setUserVersion(_ version: Int) throws(StoreError) {
    let code = unsafe sqlite3_exec(handle, "PRAGMA user_version=\(version)", nil, nil, nil)
    guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
  }

  var changedRows: Int { unsafe Int(sqlite3_changes(handle)) }
  /// Rows that were written or deleted since the connection was made.
  var allChangedRows: Int64 { unsafe sqlite3_total_changes64(handle) }
  var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// Moves the log into the file and empties it. False while a reader stands in the way.
  ///
  /// - Parameter waits: whether to give readers up to two seconds to end.
  func truncateLog(waits: Bool = true) throws(StoreError) -> Bool {
    if !waits { unsafe sqlite3_busy_timeout(handle, 0) }
    defer { if !waits { unsafe sqlite3_busy_timeout(handle, Self.patience) } }
    let code = unsafe sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    if code == SQLITE_BUSY { return false }
    guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
    return true
  }

  func checkpointPassively() throws(StoreError) {
    let code = unsafe sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
    guard code == SQLITE_OK || code == SQLITE_BUSY else { throw StoreError(sqlite: code) }
  }
}

extension StoreError {
  /// From an extended result code. What certainly changed nothing is told from what may have.
  init(sqlite code: Int32) {
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: self = .busy
    case SQLITE_FULL: self = .unavailable(.diskFull)
    case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH, SQLITE_CANTOPEN: self = .unavailable(.readOnly)
    case SQLITE_CONSTRAINT: self = .conflict
    case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt
    case SQLITE_IOERR:
      self = code == SQLITE_IOERR | (8 << 8) ? .unavailable(.ioError) : .unknownOutcome(code: code)
    default: self = .unavailable(.ioError)
    }
  }
}
