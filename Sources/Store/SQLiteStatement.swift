internal import CSQLite

/// A prepared statement. Each use binds, steps and resets; a failure resets too.
@safe final class SQLiteStatement {
  private let handle: OpaquePointer
  private let connection: OpaquePointer

  init(_ sql: StaticString, on connection: OpaquePointer) throws(StoreError) {
    var prepared: OpaquePointer?
    let code = unsafe sqlite3_prepare_v3(
      connection, sql.utf8Start, Int32(sql.utf8CodeUnitCount), UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
    guard code == SQLITE_OK, let prepared = unsafe prepared else { throw StoreError(sqlite: code) }
    unsafe handle = prepared
    unsafe self.connection = connection
  }

  deinit { unsafe sqlite3_finalize(handle) }

  /// A value to bind.
  enum Value {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    static func optional(_ text: String?) -> Value { text.map(Value.text) ?? .null }
    static func optional(_ number: Int64?) -> Value { number.map(Value.integer) ?? .null }
    static func unsigned(_ number: UInt64) -> Value { .integer(Int64(bitPattern: number)) }
  }

  /// One row, valid inside the closure it is lent to.
  struct Row {
    fileprivate let statement: SQLiteStatement

    func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(statement.handle, column) }
    func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }
    func unsigned(_ column: Int32) -> UInt64 { UInt64(bitPattern: integer(column)) }
    func unsigned32(_ column: Int32) -> UInt32 { UInt32(truncatingIfNeeded: integer(column)) }

    func text(_ column: Int32) -> String {
      guard let start = unsafe sqlite3_column_text(statement.handle, column) else { return "" }
      let count = unsafe Int(sqlite3_column_bytes(statement.handle, column))
      return unsafe String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

    func blob(_ column: Int32) -> [UInt8] {
      guard let start = unsafe sqlite3_column_blob(statement.handle, column) else { return [] }
      let count = unsafe Int(sqlite3_column_bytes(statement.handle, column))
      return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(statement.handle, column) == SQLITE_NULL }
  }

  /// Runs to the end, ignoring rows.
  func run(_ values: Value...) throws(StoreError) {
    defer { reset() }
    try bind(values)
    while try step() {}
  }

  /// The first row, or nil.
  func first<T>(_ values: Value..., read: (Row) -> T) throws(StoreError) -> T? {
    defer { reset() }
    try bind(values)
    return try step() ? read(Row(statement: self)) : nil
  }

  /// Every row.
  func all<T>(_ values: Value..., read: (Row) -> T) throws(StoreError) -> [T] {
    defer { reset() }
    try bind(values)
    var rows: [T] = []
    while try step() { rows.append(read(Row(statement: self))) }
    return rows
  }

  private func step() throws(StoreError) -> Bool {
    switch unsafe sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw StoreError(sqlite: unsafe sqlite3_extended_errcode(connection))
    }
  }

  private func bind(_ values: [Value]) throws(StoreError) {
    for (index, value) in values.enumerated() {
      let position = Int32(index + 1)
      // SQLITE_TRANSIENT: SQLite copies before the call returns.
      let copied = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
      let code: Int32 =
        switch value {
        case .null: unsafe sqlite3_bind_null(handle, position)
        case .integer(let number): unsafe sqlite3_bind_int64(handle, position, number)
        case .text(var text):
          text.withUTF8 { text in
            // A nil address would bind NULL: the empty text has one.
            let start = unsafe UnsafeRawPointer(text.baseAddress ?? UnsafePointer(Self.empty)).assumingMemoryBound(to: CChar.self)
            return unsafe sqlite3_bind_text64(handle, position, start, UInt64(text.count), copied, UInt8(SQLITE_UTF8))
          }
        case .blob(let bytes):
          unsafe bytes.withUnsafeBytes { bytes in
            unsafe sqlite3_bind_blob64(handle, position, bytes.baseAddress ?? UnsafeRawPointer(Self.empty), UInt64(bytes.count), copied)
          }
        }
      guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
    }
  }

  private func reset() {
    // The step's failure was reported already; reset repeats it.
    unsafe sqlite3_reset(handle)
    unsafe sqlite3_clear_bindings(handle)
  }

  /// An address for empty values; never written.
  nonisolated(unsafe) private static let empty: UnsafePointer<UInt8> = {
    let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    unsafe byte.initialize(to: 0)
    return unsafe UnsafePointer(byte)
  }()
}
