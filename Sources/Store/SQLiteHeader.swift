internal import Glibc

/// Two numbers of the file's header (sqlite.org/fileformat2.html, section 1.3), read before SQLite opens the file.
struct SQLiteHeader {
  let userVersion: UInt32
  let applicationID: UInt32
  /// Both 1 for a file that is whole by itself; 2 while a log belongs to it.
  let formats: [UInt8]

  /// nil for an empty file.
  init?(path: String) throws(StoreError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .unavailable(.readOnly) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    if count == 0 { return nil }
    guard count == 100, bytes.starts(with: "SQLite format 3\0".utf8) else { throw .corrupt }
    func number(at offset: Int) -> UInt32 { bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) } }
    userVersion = number(at: 60)
    applicationID = number(at: 68)
    formats = Array(bytes[18..<20])
  }
}

/// A store as one file, which no process has open: what a copy of a store is.
package enum StoreFile {
  /// The schema version of the file. Throws `corrupt` for what is no finished copy of a store, `newerSchema` for one that a newer
  /// program wrote. Changes nothing.
  package static func schema(of path: String) throws(StoreError) -> Int {
    guard let header = try SQLiteHeader(path: path), header.applicationID == UInt32(Schema.applicationID), header.userVersion > 0,
      header.formats == [1, 1]
    else { throw .corrupt }
    guard header.userVersion <= UInt32(Schema.version) else {
      throw .newerSchema(found: Int(header.userVersion), supported: Schema.version)
    }
    return Int(header.userVersion)
  }

  /// The name of the database file below a store's directory.
  package static let name = "coffer.db"
}
