internal import Ciphers
internal import Glibc
package import KeyRing
internal import SecretMemory
internal import Store

/// The form of a backup: the store as one file, and behind it 64 bytes that only the root key can make.
///
///     "CofrBkp1" | root key id (16) | uint64 bytes before this | seal (32)
///
/// SQLite does not mind what stands behind its pages. What the seal adds to the checks of the rows: every bit of the file is
/// covered, also those that hold nothing now, and a whole page of an older file does not fit.
package enum BackupFile {
  private static let magic = Array("CofrBkp1".utf8)
  static let trailerBytes = 64

  /// Appends the seal to a finished copy and syncs the file.
  static func seal(_ path: String, root: RootKey) throws(BackupError) {
    let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .unavailable }
    defer { close(descriptor) }
    let length = try length(of: descriptor)
    let digests = try digests(of: descriptor, length: length) { _ throws(BackupError) in }
    guard let seal = try? root.backupSeal(length: length, digests: digests) else { throw .unavailable }
    let number = (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    try write(magic + Array(root.id.utf8) + number + seal, to: descriptor)
    guard fsync(descriptor) == 0 else { throw .unavailable }
  }

  /// Copies the store in the backup `path` into the new file `target`, mode 0600 and synced, after every check that needs no
  /// look into the store. A refusal leaves no `target`.
  package static func extract(_ path: String, to target: String, root: RootKey) throws(BackupError) {
    let source = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard source >= 0 else { throw .notAFile }
    defer { close(source) }
    let trailer = try trailer(of: source)
    do { try NewFile.make(target) } catch { throw BackupError(error) }
    do throws(BackupError) {
      let digests = try copy(source, trailer.length, to: target)
      // Asked first: an older program does well to say so rather than that the file is damaged.
      try checkSchema(target)
      guard trailer.rootKeyID == root.id else { throw .otherRootKey(trailer.rootKeyID) }
      guard let seal = try? root.backupSeal(length: trailer.length, digests: digests), constantTimeEqual(seal, trailer.seal) else {
        throw .damaged
      }
    } catch {
      NewFile.remove(target)
      throw error
    }
  }

  /// True when the file ends as a backup does.
  static func hasForm(_ path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return (try? trailer(of: descriptor)) != nil
  }

  // MARK: - Parts

  private struct Trailer {
    let rootKeyID: String
    let length: Int64
    let seal: [UInt8]
  }

  private static func trailer(of descriptor: Int32) throws(BackupError) -> Trailer {
    let length = try length(of: descriptor) - Int64(trailerBytes)
    guard length > 0 else { throw .notABackup }
    let bytes = try read(descriptor, trailerBytes, at: length)
    let stated = bytes[24..<32].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let id = bytes[8..<24]
    guard bytes.starts(with: magic), stated == UInt64(length), id.allSatisfy(RandomText.alphabet.contains) else { throw .notABackup }
    return Trailer(rootKeyID: String(decoding: id, as: UTF8.self), length: length, seal: Array(bytes[32...]))
  }

  private static func checkSchema(_ path: String) throws(BackupError) {
    do { _ = try StoreFile.schema(of: path) } catch {
      if case .newerSchema(let found, let supported) = error { throw .newerSchema(found: found, supported: supported) }
      throw .damaged
    }
  }

  private static func copy(_ source: Int32, _ length: Int64, to path: String) throws(BackupError) -> [[UInt8]] {
    let target = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
    guard target >= 0 else { throw .notWritable }
    defer { close(target) }
    let digests = try digests(of: source, length: length) { chunk throws(BackupError) in try write(chunk, to: target) }
    guard fsync(target) == 0 else { throw .unavailable }
    return digests
  }

  private static func digests(of descriptor: Int32, length: Int64, each: ([UInt8]) throws(BackupError) -> Void) throws(BackupError)
    -> [[UInt8]]
  {
    var digests: [[UInt8]] = []
    var offset: Int64 = 0
    while offset < length {
      let chunk = try read(descriptor, Int(min(Int64(RootKey.backupChunk), length - offset)), at: offset)
      digests.append(SHA256.digest(chunk))
      try each(chunk)
      offset += Int64(chunk.count)
    }
    return digests
  }

  private static func length(of descriptor: Int32) throws(BackupError) -> Int64 {
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
    return Int64(facts.st_size)
  }

  /// Exactly `count` bytes.
  private static func read(_ descriptor: Int32, _ count: Int, at offset: Int64) throws(BackupError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let result = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset) + done)
      }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { throw result == 0 ? .notABackup : .unavailable }
      done += result
    }
    return bytes
  }

  /// At the descriptor's end: nothing else was written to it, or it was opened to be appended to.
  private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(BackupError) {
    guard lseek(descriptor, 0, SEEK_END) >= 0 else { throw .unavailable }
    var done = 0
    while done < bytes.count {
      let result = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { throw errno == ENOSPC || errno == EDQUOT ? .diskFull : .unavailable }
      done += result
    }
  }
}
