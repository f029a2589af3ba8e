internal import CSQLite
internal import Glibc
internal import Threads

extension SQLiteStore {
  package func backUp(to path: String) throws(StoreError) -> StoreCopy {
    try copies.enter()
    defer { copies.leave() }
    try NewFile.make(path)
    do throws(StoreError) {
      let source = try SQLiteConnection(path: Self.databasePath(directory), role: .reader)
      let (schema, chains) = try copyPages(of: source, to: path)
      try Self.finish(path)
      return StoreCopy(bytes: try NewFile.sync(path), schema: schema, chains: chains)
    } catch {
      NewFile.remove(path)
      // A failed read or write of the copy leaves no doubt about the store.
      if case .unknownOutcome = error { throw .unavailable(.ioError) }
      throw error
    }
  }

  /// One read transaction for the pages and for what is told of them.
  private func copyPages(of source: SQLiteConnection, to path: String) throws(StoreError) -> (Int, [StoreCopy.Chain]) {
    try source.execute("BEGIN")
    defer { try? source.execute("COMMIT") }
    let schema = try Schema.check(source)
    let target = try SQLiteConnection(path: path, role: .maker)
    try target.copy(source) { !copies.isClosed }
    return (schema, try Self.chains(SQLiteReading(source)))
  }

  private static func chains(_ reading: SQLiteReading) throws(StoreError) -> [StoreCopy.Chain] {
    var chains: [StoreCopy.Chain] = []
    while true {
      let tenants = try reading.tenants(after: chains.last?.tenant ?? "", limit: 500)
      for tenant in tenants {
        chains.append(StoreCopy.Chain(tenant: tenant.id, name: tenant.name, head: try reading.auditHead(tenant: tenant.id)))
      }
      if tenants.count < 500 { return chains }
    }
  }

  /// Takes the copied file out of WAL, so that it is one file, and checks it.
  private static func finish(_ path: String) throws(StoreError) {
    let connection = try SQLiteConnection(path: path, role: .maker)
    guard try connection.damage().isEmpty else { throw .corrupt }
  }
}

extension SQLiteConnection {
  /// A MiB: how much is copied before the next look at whether to go on.
  private static let pagesAtOnce: Int32 = 256

  /// Fills this empty database with the pages of `source` (sqlite.org/c3ref/backup_finish.html), whose open read transaction
  /// keeps them what they are.
  fileprivate func copy(_ source: SQLiteConnection, while goesOn: () -> Bool) throws(StoreError) {
    guard let backup = unsafe sqlite3_backup_init(handle, "main", source.handle, "main") else {
      throw StoreError(sqlite: unsafe sqlite3_extended_errcode(handle))
    }
    var code = SQLITE_OK
    while code == SQLITE_OK, goesOn() { code = unsafe sqlite3_backup_step(backup, Self.pagesAtOnce) }
    unsafe sqlite3_backup_finish(backup)
    switch code {
    case SQLITE_DONE: return
    case SQLITE_OK: throw .unavailable(.draining)
    default: throw StoreError(sqlite: code)
    }
  }
}

/// At most one copy at a time, and none once the store closes.
final class CopyGate: Sendable {
  private let state = Locked<(running: OneTimeEvent?, isClosed: Bool)>((nil, false))

  var isClosed: Bool { state.withLock { $0.isClosed } }

  func enter() throws(StoreError) {
    try state.withLock { state throws(StoreError) in
      if state.isClosed { throw .unavailable(.draining) }
      if state.running != nil { throw .busy }
      state.running = OneTimeEvent()
    }
  }

  func leave() {
    state.withLock {
      $0.running?.signal()
      $0.running = nil
    }
  }

  /// Waits for the copy that runs, which sees that it is to end.
  func close() {
    let running = state.withLock {
      $0.isClosed = true
      return $0.running
    }
    running?.wait()
  }
}

/// A file that is made for its owner alone, and its durability.
package enum NewFile {
  /// An empty file, mode 0600; `conflict` when something has the name.
  package static func make(_ path: String) throws(StoreError) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      switch errno {
      case EEXIST: throw .conflict
      case ENOSPC, EDQUOT: throw .unavailable(.diskFull)
      default: throw .unavailable(.readOnly)
      }
    }
    close(descriptor)
  }

  /// Brings the file to the disk; its length in bytes. Not for a file that SQLite has open.
  package static func sync(_ path: String) throws(StoreError) -> Int64 {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .unavailable(.ioError) }
    defer { close(descriptor) }
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0, fsync(descriptor) == 0 else { throw .unavailable(.ioError) }
    return Int64(facts.st_size)
  }

  /// Brings the names in a directory to the disk.
  package static func syncDirectory(_ path: String) throws(StoreError) {
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unavailable(.ioError) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .unavailable(.ioError) }
  }

  /// A database file and what SQLite may have left beside it.
  package static func remove(_ path: String) {
    for suffix in ["", "-journal", "-wal", "-shm"] { unsafe unlink(path + suffix) }
  }
}
