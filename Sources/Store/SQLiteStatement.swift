internal import CSQLite

/// A prepared statement. Each use binds, steps and resets; a failure resets too.
@safe final class SQLiteStatement {
  private let handle: OpaquePointer
  private let connection: OpaquePointer
  private let room: BindingRoom

  init(_ sql: StaticString, on connection: OpaquePointer, _ room: BindingRoom) throws(StoreError) {
    self.room = room
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

  // The values of a use lie on the stack: an array of them would cost as much as many a statement.

  /// Runs to the end, ignoring rows.
  func run<let count: Int>(_ values: [count of Value]) throws(StoreError) {
    defer { reset() }
    try bind(values.span)
    while try step() {}
  }

  /// The first row, or nil.
  func first<T, let count: Int>(_ values: [count of Value], read: (Row) -> T) throws(StoreError) -> T? {
    defer { reset() }
    try bind(values.span)
    return try step() ? read(Row(statement: self)) : nil
  }

  /// Every row.
  func all<T, let count: Int>(_ values: [count of Value], read: (Row) -> T) throws(StoreError) -> [T] {
    defer { reset() }
    try bind(values.span)
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

  func run() throws(StoreError) { try run([]) }
  func first<T>(read: (Row) -> T) throws(StoreError) -> T? { try first([], read: read) }
  func all<T>(read: (Row) -> T) throws(StoreError) -> [T] { try all([], read: read) }

  private func bind(_ values: Span<Value>) throws(StoreError) {
    room.open()
    for index in values.indices {
      let position = Int32(index + 1)
      let code: Int32 =
        switch values[index] {
        case .null: unsafe sqlite3_bind_null(handle, position)
        case .integer(let number): unsafe sqlite3_bind_int64(handle, position, number)
        case .text(var text): text.withUTF8 { unsafe bind(UnsafeRawBufferPointer($0), asText: true, position) }
        case .blob(let bytes): unsafe bytes.withUnsafeBytes { unsafe bind($0, asText: false, position) }
        }
      guard code == SQLITE_OK else { throw StoreError(sqlite: code) }
    }
  }

  private func bind(_ bytes: UnsafeRawBufferPointer, asText: Bool, _ position: Int32) -> Int32 {
    // SQLITE_TRANSIENT: SQLite copies before the call returns. SQLITE_STATIC, nil: the room keeps them until the reset.
    let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    let kept = unsafe room.keep(bytes)
    // A nil address would bind NULL: an empty value has one.
    let start = unsafe kept ?? bytes.baseAddress ?? UnsafeRawPointer(Self.empty)
    let destructor = unsafe kept == nil ? transient : nil
    if asText {
      return unsafe sqlite3_bind_text64(
        handle, position, start.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), destructor, UInt8(SQLITE_UTF8))
    }
    return unsafe sqlite3_bind_blob64(handle, position, start, UInt64(bytes.count), destructor)
  }

  private func reset() {
    // The step's failure was reported already; reset repeats it.
    unsafe sqlite3_reset(handle)
    unsafe sqlite3_clear_bindings(handle)
    room.close()
  }

  /// An address for empty values; never written.
  nonisolated(unsafe) private static let empty: UnsafePointer<UInt8> = {
    let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    unsafe byte.initialize(to: 0)
    return unsafe UnsafePointer(byte)
  }()
}

/// Memory for the values of a connection's statement while it runs, so that SQLite need not copy each into a piece of its own.
///
/// A statement that runs inside another's rows takes what is left; what finds no room is copied.
@safe final class BindingRoom {
  /// Bytes: the values of all but long rows.
  private static let size = 16 << 10

  private let start: UnsafeMutableRawPointer
  private var used = 0
  private var users = 0

  init() { unsafe start = .allocate(byteCount: Self.size, alignment: 16) }

  deinit { unsafe start.deallocate() }

  func open() { users += 1 }

  func close() {
    users -= 1
    if users == 0 { used = 0 }
  }

  /// Where the bytes are until the last user closes; nil when there is no room, or none is needed.
  func keep(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
    guard let source = bytes.baseAddress, bytes.count > 0, Self.size - used >= bytes.count else { return nil }
    let place = unsafe start + used
    unsafe place.copyMemory(from: source, byteCount: bytes.count)
    used += bytes.count
    return UnsafeRawPointer(place)
  }
}
