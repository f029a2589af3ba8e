internal import Glibc
internal import Threads

/// The store in one SQLite file: WAL, synchronous=FULL, one writing and checkpointing connection.
package final class SQLiteStore: Store {
  package enum Lock: Sendable {
    /// Fail with `locked` when another process has the store.
    case required
    /// Read at once; write as soon as the other process lets go. For the successor in a graceful restart.
    case awaited
  }

  let directory: String
  let copies = CopyGate()
  private let writer: SQLiteWriter
  private let clocks = ChangeClocks()
  private let done: OneTimeEvent

  /// Opens the store below `directory`, making it when the directory is empty. Refusals change nothing.
  ///
  /// - Parameters:
  ///   - allowsNetworkFileSystem: overrides the refusal, for those who know their locks work.
  ///   - onFatal: called on the writer's thread when the outcome of a commit is unknown; the process must end.
  package init(
    directory: String, lock: Lock = .required, allowsNetworkFileSystem: Bool = false,
    onFatal: @escaping @Sendable (StoreError) -> Void = { _ in }
  ) throws(StoreError) {
    self.directory = directory
    try Self.prepareDirectory(directory)
    guard allowsNetworkFileSystem || !FileSystem.isNetwork(directory) else { throw .networkFileSystem }
    writer = SQLiteWriter(clocks, onFatal: onFatal)
    done = OneTimeEvent()
    switch lock {
    case .required:
      let held = try StoreLock(path: Self.lockPath(directory), waits: false)
      try Self.probe(Self.databasePath(directory))
      let connection = try Self.openWriter(directory)
      start(holding: held, connection)
    case .awaited:
      startWhenReleased()
    }
  }

  package func makeReader() throws(StoreError) -> any StoreReader {
    let connection = try SQLiteConnection(path: Self.databasePath(directory), role: .reader)
    _ = try Schema.check(connection)
    return SQLiteReader(connection, clocks)
  }

  package func write<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T, completion: @escaping @Sendable (Result<T, any Error>) -> Void
  ) {
    queue(erases: false, body) { result in completion(result.map { $0.value }) }
  }

  package func erase<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<(value: T, isErased: Bool), any Error>) -> Void
  ) { queue(erases: true, body, completion) }

  private func queue<T: Sendable>(
    erases: Bool, _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    _ completion: @escaping @Sendable (Result<(value: T, isErased: Bool), any Error>) -> Void
  ) {
    let entry = WriteQueue.Entry(
      erases: erases,
      run: { transaction in
        do {
          let value = try body(transaction)
          return WriteQueue.Attempt(failed: false, storeFailure: nil, finish: { completion(.success((value, $0.isErased))) })
        } catch {
          return WriteQueue.Attempt(failed: true, storeFailure: error as? StoreError, finish: { _ in completion(.failure(error)) })
        }
      }, fail: { completion(.failure($0)) })
    if let refusal = writer.queue.add(entry) { completion(.failure(refusal)) }
  }

  package var commitFigures: CommitFigures { writer.figures }
  package var waitingWrites: Int { writer.queue.count }

  /// Bytes of the database and of its log.
  package var fileSizes: (database: UInt64, log: UInt64) {
    (Self.size(Self.databasePath(directory)), Self.size(Self.databasePath(directory) + "-wal"))
  }

  static func size(_ path: String) -> UInt64 {
    var facts = stat()
    return unsafe stat(path, &facts) == 0 ? UInt64(max(0, facts.st_size)) : 0
  }

  /// The schema version of a store's file and the newest one this program knows; nil when there is no store. Only for a
  /// process that has no connection to it: closing any descriptor of the file would drop the locks of one.
  package static func schemaVersion(below directory: String) throws(StoreError) -> (found: Int, supported: Int)? {
    let path = databasePath(directory)
    guard unsafe access(path, F_OK) == 0, let header = try SQLiteHeader(path: path) else { return nil }
    guard header.applicationID == UInt32(Schema.applicationID) else { throw .corrupt }
    return (Int(header.userVersion), Schema.version)
  }

  /// Takes no more writes, finishes those that wait, ends a copy, empties the log and lets go of the lock. Waits for all of that.
  package func close() {
    copies.close()
    writer.queue.close()
    done.wait()
  }

  // MARK: - Opening

  static func databasePath(_ directory: String) -> String { directory + "/" + StoreFile.name }
  static func lockPath(_ directory: String) -> String { directory + "/coffer.lock" }

  private static func prepareDirectory(_ directory: String) throws(StoreError) {
    if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST { throw .unavailable(errno == ENOSPC ? .diskFull : .readOnly) }
    guard unsafe access(directory, R_OK | W_OK | X_OK) == 0 else { throw .unavailable(.readOnly) }
  }

  private static func openWriter(_ directory: String) throws(StoreError) -> SQLiteConnection {
    let path = databasePath(directory)
    // Made with its final mode: SQLite would take the umask's.
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if descriptor >= 0 { Glibc.close(descriptor) } else if errno != EEXIST { throw .unavailable(errno == ENOSPC ? .diskFull : .readOnly) }
    let connection = try SQLiteConnection(path: path, role: .writer)
    try Schema.migrate(connection)
    return connection
  }

  /// A file of a newer program, or not ours, is refused before the writer's settings could touch it. Only before this
  /// process has a connection: closing any descriptor of the file would drop the locks of one.
  private static func probe(_ path: String) throws(StoreError) {
    guard unsafe access(path, F_OK) == 0, let header = try SQLiteHeader(path: path) else { return }
    guard header.applicationID == UInt32(Schema.applicationID) else {
      if header.applicationID == 0, header.userVersion == 0 { return }
      throw .corrupt
    }
    guard header.userVersion <= UInt32(Schema.version) else {
      throw .newerSchema(found: Int(header.userVersion), supported: Schema.version)
    }
  }

  private func start(holding lock: StoreLock, _ connection: SQLiteConnection) {
    let (writer, done) = (writer, done)
    clocks.begin()
    let (lock, connection) = (Handover(lock), Handover(connection))
    PlainThread.start(named: "coffer-writer") {
      Self.serve(writer, connection, lock)
      done.signal()
    }
  }

  private func startWhenReleased() {
    let (writer, done, directory, clocks) = (writer, done, directory, clocks)
    PlainThread.start(named: "coffer-writer") {
      do throws(StoreError) {
        let lock = Handover(try StoreLock(path: Self.lockPath(directory), waits: true))
        let connection = Handover(try Self.openWriter(directory))
        clocks.begin()
        Self.serve(writer, connection, lock)
      } catch {
        writer.queue.close()
        while let rest = writer.queue.take(256) { for entry in rest { entry.fail(error) } }
      }
      done.signal()
    }
  }

  /// Serves to the end. The connection goes before the lock, and both before anyone is told.
  private static func serve(_ writer: SQLiteWriter, _ connection: Handover<SQLiteConnection>, _ lock: Handover<StoreLock>) {
    let held = lock.take()
    serve(writer, connection.take())
    withExtendedLifetime(held) {}
  }

  private static func serve(_ writer: SQLiteWriter, _ connection: SQLiteConnection) {
    writer.serve(connection)
    // Not emptied is no loss: the log is read at the next start.
    _ = try? connection.truncateLog()
  }
}
