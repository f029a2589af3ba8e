import Glibc
import TestSupport
import Testing

@testable import Store

/// The log that is written in long pieces: whatever SQLite does with it, the file is what SQLite wrote.
@Suite struct LogFileTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/log.db" }

  private func writer() throws -> SQLiteConnection {
    let writer = try SQLiteConnection(path: path, role: .writer)
    try writer.executeScript("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT")
    return writer
  }

  private func insert(_ ids: Range<Int>, of length: Int, into writer: SQLiteConnection) throws {
    for id in ids {
      try writer.prepare("INSERT INTO t (id, value) VALUES (?1, ?2)")
        .run([.integer(Int64(id)), .blob([UInt8](repeating: UInt8(truncatingIfNeeded: id), count: length))])
    }
  }

  /// Rows that hold what was written into them.
  private func count(_ connection: SQLiteConnection, of length: Int) throws -> Int {
    try connection.prepare("SELECT id, value FROM t").all { row in
      row.blob(1) == [UInt8](repeating: UInt8(truncatingIfNeeded: row.integer(0)), count: length)
    }.count { $0 }
  }

  private func isWhole(_ connection: SQLiteConnection) throws -> Bool {
    try connection.prepare("PRAGMA integrity_check").all { $0.text(0) } == ["ok"]
  }

  /// Which the writer alone would not notice.
  @Test func aCommitIsInTheFile() throws {
    let writer = try writer()
    let reader = try SQLiteConnection(path: path, role: .reader)
    for id in 0..<20 {
      let before = try contents(path + "-wal").count
      try insert(id..<(id + 1), of: 10, into: writer)
      let frames = (try contents(path + "-wal").count - before) / 4120
      #expect(frames >= 1)
      #expect(try reader.prepare("SELECT count(*) FROM t").first { $0.integer(0) } == Int64(id + 1))
    }
    // As another process finds it, whose view of the log begins with the file.
    let copy = directory.path + "/copy.db"
    try write(try contents(path), to: copy)
    try write(try contents(path + "-wal"), to: copy + "-wal")
    let found = try SQLiteConnection(path: copy, role: .writer)
    #expect(try found.prepare("SELECT count(*) FROM t").first { $0.integer(0) } == 20)
  }

  /// Longer than the page cache and than what is gathered: frames are read again before the commit, by the writer alone.
  @Test func aLongTransactionReadsWhatItWrote() throws {
    let writer = try writer()
    let reader = try SQLiteConnection(path: path, role: .reader)
    try writer.execute("BEGIN IMMEDIATE")
    try insert(0..<1000, of: 3000, into: writer)
    try writer.execute("UPDATE t SET value = value WHERE id % 7 = 0")
    #expect(try count(writer, of: 3000) == 1000)
    #expect(try count(reader, of: 3000) == 0)
    try writer.execute("COMMIT")
    #expect(try count(reader, of: 3000) == 1000)
    #expect(try isWhole(reader) && isWhole(writer))
  }

  @Test func whatIsUndoneLeavesNothing() throws {
    let writer = try writer()
    let reader = try SQLiteConnection(path: path, role: .reader)
    try insert(0..<10, of: 100, into: writer)
    for length in [100, 3000] {
      try writer.execute("BEGIN IMMEDIATE")
      try insert(10..<1000, of: length, into: writer)
      try writer.execute("ROLLBACK")
      #expect(try count(writer, of: 100) == 10 && count(reader, of: 100) == 10)
    }
    try insert(10..<20, of: 100, into: writer)
    #expect(try count(reader, of: 100) == 20)
    #expect(try isWhole(reader))
  }

  /// The log begins anew, and is emptied, as often as it likes.
  @Test func theLogComesToItsEnd() throws {
    let writer = try writer()
    let reader = try SQLiteConnection(path: path, role: .reader)
    for round in 0..<30 {
      try insert((round * 300)..<((round + 1) * 300), of: 2000, into: writer)
      if round % 10 == 9 {
        #expect(try writer.truncateLog())
        #expect(try contents(path + "-wal").isEmpty)
      }
      #expect(try count(reader, of: 2000) == (round + 1) * 300)
    }
    #expect(try isWhole(reader))
  }
}
