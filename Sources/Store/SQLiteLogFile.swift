internal import CSQLite
internal import Glibc

/// SQLite's own files, but for one thing: what is written to a log leaves in long pieces.
///
/// SQLite writes each frame of its log with two calls, of 24 and of 4,096 bytes, and a commit of a full batch has some forty frames. Here
/// they are gathered and written when the log is synced, which SQLite does before the commit counts and before it tells other
/// connections of the frames (sqlite.org/walformat.html). Whatever else is done to the log writes first what was gathered.
///
/// Only for the connection that writes: nobody else would see what is gathered.
@safe enum SQLiteLogFile {
  /// Of the file system (sqlite.org/vfs.html), to open a database with; nil when there is none to build on.
  static let fileSystem: String? = {
    guard let base = unsafe base else { return nil }
    let made = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
    unsafe made.initialize(to: base.pointee)
    unsafe made.pointee.iVersion = min(base.pointee.iVersion, 3)
    unsafe made.pointee.szOsFile += Int32(MemoryLayout<Gathered>.size)
    unsafe made.pointee.zName = UnsafePointer(strdup(name))
    unsafe made.pointee.xOpen = { _, path, file, flags, outFlags in
      unsafe SQLiteLogFile.open(path, file, flags, outFlags)
    }
    return unsafe sqlite3_vfs_register(made, 0) == SQLITE_OK ? name : nil
  }()

  private static let name = "coffer"
  nonisolated(unsafe) private static let base = unsafe sqlite3_vfs_find(nil)

  typealias File = UnsafeMutablePointer<sqlite3_file>

  /// Beside SQLite's own description of an open log.
  @unsafe private struct Gathered {
    /// 15 frames of 4 KiB pages.
    static let capacity = 64 << 10

    let methods: UnsafePointer<sqlite3_io_methods>
    var replaced: sqlite3_io_methods
    let bytes: UnsafeMutableRawPointer
    /// Where in the file `bytes` belong, and how many there are.
    var start: Int64 = 0
    var count = 0
  }

  private static func open(_ path: UnsafePointer<CChar>?, _ file: File?, _ flags: Int32, _ outFlags: UnsafeMutablePointer<Int32>?) -> Int32
  {
    let code = unsafe base!.pointee.xOpen(base, path, file, flags, outFlags)
    guard code == SQLITE_OK, flags & SQLITE_OPEN_WAL != 0, let file = unsafe file, let methods = unsafe file.pointee.pMethods else {
      return code
    }
    let gathered = unsafe gathered(file)
    var replaced = unsafe methods.pointee
    replaced.iVersion = min(replaced.iVersion, 3)
    unsafe replaced.xWrite = { file, bytes, count, offset in unsafe SQLiteLogFile.write(file!, bytes!, Int(count), offset) }
    unsafe replaced.xRead = { file, bytes, count, offset in
      unsafe SQLiteLogFile.written(file!) { unsafe $0.xRead(file, bytes, count, offset) }
    }
    unsafe replaced.xTruncate = { file, size in unsafe SQLiteLogFile.written(file!) { unsafe $0.xTruncate(file, size) } }
    unsafe replaced.xSync = { file, flags in unsafe SQLiteLogFile.written(file!) { unsafe $0.xSync(file, flags) } }
    unsafe replaced.xFileSize = { file, size in unsafe SQLiteLogFile.written(file!) { unsafe $0.xFileSize(file, size) } }
    unsafe replaced.xClose = { file in unsafe SQLiteLogFile.close(file!) }
    unsafe gathered.initialize(
      to: Gathered(
        methods: methods, replaced: replaced, bytes: .allocate(byteCount: Gathered.capacity, alignment: 16)))
    unsafe file.pointee.pMethods = unsafe UnsafePointer(gathered.pointer(to: \.replaced))
    return code
  }

  private static func gathered(_ file: File) -> UnsafeMutablePointer<Gathered> {
    unsafe (UnsafeMutableRawPointer(file) + Int(base!.pointee.szOsFile)).assumingMemoryBound(to: Gathered.self)
  }

  private static func write(_ file: File, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int64) -> Int32 {
    let gathered = unsafe gathered(file)
    let follows = unsafe gathered.pointee.start + Int64(gathered.pointee.count) == offset
    if unsafe !follows || Gathered.capacity - gathered.pointee.count < count {
      let code = unsafe flush(file)
      guard code == SQLITE_OK else { return code }
      unsafe gathered.pointee.start = offset
    }
    guard unsafe count <= Gathered.capacity else {
      return unsafe gathered.pointee.methods.pointee.xWrite(file, bytes, Int32(count), offset)
    }
    unsafe (gathered.pointee.bytes + gathered.pointee.count).copyMemory(from: bytes, byteCount: count)
    unsafe gathered.pointee.count += count
    return SQLITE_OK
  }

  /// A frame that cannot be written belongs to no commit: SQLite writes its place anew.
  private static func flush(_ file: File) -> Int32 {
    let gathered = unsafe gathered(file)
    let count = unsafe gathered.pointee.count
    guard count > 0 else { return SQLITE_OK }
    unsafe gathered.pointee.count = 0
    return unsafe gathered.pointee.methods.pointee.xWrite(file, gathered.pointee.bytes, Int32(count), gathered.pointee.start)
  }

  private static func written(_ file: File, _ then: (sqlite3_io_methods) -> Int32) -> Int32 {
    let code = unsafe flush(file)
    guard code == SQLITE_OK else { return code }
    return unsafe then(gathered(file).pointee.methods.pointee)
  }

  private static func close(_ file: File) -> Int32 {
    let gathered = unsafe gathered(file)
    let methods = unsafe gathered.pointee.methods
    let code = unsafe flush(file)
    unsafe gathered.pointee.bytes.deallocate()
    unsafe file.pointee.pMethods = methods
    let closed = unsafe methods.pointee.xClose(file)
    return code == SQLITE_OK ? closed : code
  }
}
