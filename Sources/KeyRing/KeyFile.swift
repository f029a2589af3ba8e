internal import Ciphers
internal import Glibc
package import SecretMemory

/// Files that hold a key: read and made with the checks that keep others out.
package enum KeyFile {
  package enum Failure: Error, Sendable, Equatable {
    case missing(path: String)
    case notARegularFile(path: String)
    /// Group or others may read or write it.
    case readableByOthers(path: String)
    case wrongOwner(path: String)
    case tooLong(path: String)
    case exists(path: String)
    case system(path: String, errno: Int32)

    /// What failed and what to do.
    package var message: String {
      switch self {
      case .missing(let path): "\(path) does not exist"
      case .notARegularFile(let path): "\(path) is not a regular file"
      case .readableByOthers(let path): "\(path) is open to other users; run: chmod 0400 \(path)"
      case .wrongOwner(let path): "\(path) belongs to another user; it must belong to the user cofferd runs as, or to root"
      case .tooLong(let path): "\(path) is too long for a key file"
      case .exists(let path): "\(path) exists already and is not overwritten"
      case .system(let path, let code): "\(path) cannot be used: \(unsafe String(cString: strerror(code)))"
      }
    }

    /// The same of a file that a store cannot do without.
    package var storeMessage: String {
      if case .missing = self { message + "; restore it from your copy" } else { message }
    }
  }

  private static let maximumBytes = 4096

  /// Reads a key file after checking its type, owner and mode on the opened descriptor.
  package static func read(_ path: String) throws(Failure) -> SecretBytes {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw .missing(path: path) }
      if errno == ELOOP { throw .notARegularFile(path: path) }
      throw .system(path: path, errno: errno)
    }
    defer { close(descriptor) }
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else { throw .system(path: path, errno: errno) }
    guard facts.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
    guard facts.st_mode & 0o077 == 0 else { throw .readableByOthers(path: path) }
    guard facts.st_uid == geteuid() || facts.st_uid == 0 else { throw .wrongOwner(path: path) }
    return try contents(of: descriptor, path: path)
  }

  /// Everything up to the end of a descriptor, at most 4,096 bytes.
  package static func contents(of descriptor: Int32, path: String) throws(Failure) -> SecretBytes {
    var buffer = [UInt8](repeating: 0, count: maximumBytes + 1)
    defer { erase(&buffer) }
    var count = 0
    while count < buffer.count {
      let room = buffer.count - count
      let result = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress! + count, room) }
      if result == 0 { break }
      if result < 0 {
        if errno == EINTR { continue }
        throw .system(path: path, errno: errno)
      }
      count += result
    }
    guard count <= maximumBytes else { throw .tooLong(path: path) }
    return unsafe SecretBytes(copying: buffer.span.bytes.extracting(first: count))
  }

  /// Makes a key file, mode 0400, never over an existing one; file and directory are synced.
  package static func create(_ path: String, _ contents: SecretBytes) throws(Failure) {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o400)
    guard descriptor >= 0 else { throw errno == EEXIST ? .exists(path: path) : .system(path: path, errno: errno) }
    defer { close(descriptor) }
    let written = contents.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    }
    guard written == contents.count, fsync(descriptor) == 0 else { throw .system(path: path, errno: errno) }
    try syncDirectory(of: path)
  }

  /// Makes the names beside `path` durable.
  static func syncDirectory(of path: String) throws(Failure) {
    let directory = unsafe open(split(path).directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .system(path: path, errno: errno) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw .system(path: path, errno: errno) }
  }

  /// The path without its last part, and that part.
  static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let name = String(path[path.utf8.index(after: slash)...])
    return (slash == path.utf8.startIndex ? "/" : String(path[..<slash]), name)
  }
}
