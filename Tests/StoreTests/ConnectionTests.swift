import TestSupport
import Testing

@testable import Store

@Suite struct ConnectionTests {
  private let directory = TemporaryDirectory()

  @Test func readersOfLargeFilesKeepMore() throws {
    let mebibyte: UInt64 = 1 << 20
    let sizes = [0, mebibyte, 64 * mebibyte, 128 * mebibyte, 512 * mebibyte, 1024 * mebibyte, 1 << 50]
    #expect(sizes.map(SQLiteConnection.readerCache) == [512, 512, 512, 1024, 4096, 8192, 8192])
    let path = directory.path + "/small.db"
    _ = try SQLiteConnection(path: path, role: .writer)
    let reader = try SQLiteConnection(path: path, role: .reader)
    #expect(try reader.prepare("PRAGMA cache_size").first { $0.integer(0) } == -512)
  }
}
