internal import Ciphers
internal import Glibc
package import SecretMemory

/// The wire keys that files hold: the one that seals, and beside it `NAME.retired-ID` for each that only opens still.
package struct WireKeyFiles: Sendable {
  /// The file of the key that seals.
  package let path: String

  package init(path: String) { self.path = path }

  /// Makes the first key; never over another.
  package func create() throws(KeyFile.Failure) { try write(to: path) }

  /// The ring of these files, with what the environment gives before them.
  ///
  /// - Parameters:
  ///   - given: the environment's key and its variable; it then seals, and the file of the primary key is not read.
  ///   - retired: texts from the environment that open only.
  package func ring(given: (key: SecretBytes, variable: String)?, retired: [SecretBytes]) throws(KeyFile.Failure) -> WireRing {
    let others = retired.enumerated().map { index, text in
      let name = "OH_SECRET_KEYS_RETIRED_\(index)"
      return WireKey(text, id: name, origin: .variable(name))
    }
    let primary: WireKey
    if let given {
      primary = WireKey(given.key, id: given.variable, origin: .variable(given.variable))
    } else {
      primary = try key(at: path)
    }
    // What a crash in the middle of a rotation left twice is one key.
    let files = try self.retired().filter { $0.id != primary.id }
    return WireRing(primary: primary, retired: others + files)
  }

  /// The keys that open only, by id.
  package func retired() throws(KeyFile.Failure) -> [WireKey] {
    var keys: [WireKey] = []
    for id in try retiredIDs() { keys.append(try key(at: retiredPath(id))) }
    return keys
  }

  /// A key that is made and not yet in use.
  package struct Fresh: Sendable {
    package let id: String
    /// The key that it is to replace.
    package let old: String
  }

  /// Makes a new key beside the old one. Nothing uses it until `install`.
  package func prepare() throws(KeyFile.Failure) -> Fresh {
    let old = try key(at: path).id
    unsafe unlink(path + Self.freshSuffix)
    try write(to: path + Self.freshSuffix)
    return Fresh(id: try key(at: path + Self.freshSuffix).id, old: old)
  }

  /// Puts a new key in the place of the old one, which opens on. Another process sees the one or the other: at no moment is
  /// there none.
  package func install(_ fresh: Fresh) throws(KeyFile.Failure) {
    let retired = retiredPath(fresh.old)
    guard unsafe link(path, retired) == 0 || errno == EEXIST else { throw .system(path: retired, errno: errno) }
    guard unsafe rename(path + Self.freshSuffix, path) == 0 else { throw .system(path: path, errno: errno) }
    try KeyFile.syncDirectory(of: path)
  }

  /// Takes back what `prepare` made.
  package func discard() { unsafe unlink(path + Self.freshSuffix) }

  /// Ends a retired key: tokens under it open no more. False when there is no such key.
  package func retire(_ id: String) throws(KeyFile.Failure) -> Bool {
    guard try retiredIDs().contains(id) else { return false }
    guard unsafe unlink(retiredPath(id)) == 0 else { throw .system(path: retiredPath(id), errno: errno) }
    try KeyFile.syncDirectory(of: path)
    return true
  }

  private func retiredPath(_ id: String) -> String { path + Self.infix + id }
  private static let infix = ".retired-"
  private static let freshSuffix = ".new"

  private func retiredIDs() throws(KeyFile.Failure) -> [String] {
    let (folder, name) = KeyFile.split(path)
    guard let directory = unsafe opendir(folder) else { throw .system(path: folder, errno: errno) }
    defer { unsafe closedir(directory) }
    var ids: [String] = []
    while let entry = unsafe readdir(directory) {
      let found = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if found.hasPrefix(name + Self.infix) { ids.append(String(found.dropFirst(name.utf8.count + Self.infix.utf8.count))) }
    }
    return ids.sorted()
  }

  private func key(at path: String) throws(KeyFile.Failure) -> WireKey {
    let text = try KeyFile.read(path).withoutLineEnd
    var facts = stat()
    let made = unsafe stat(path, &facts) == 0 ? Int64(facts.st_mtim.tv_sec) * 1000 : nil
    return WireKey(text, id: Self.id(of: text), origin: .file(path), madeAt: made)
  }

  /// The first 16 hexadecimal digits of a hash over the text: a name, of no use against a random key.
  private static func id(of text: SecretBytes) -> String {
    var message = LengthPrefixed()
    message.append("coffer/wire-key-id/v1")
    var bytes = text.withBytes { text in unsafe text.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&bytes) }
    let digest = SHA256.digest(message.bytes + bytes)
    return digest.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// 43 characters of 0-9A-Za-z, 256 bits, and a line feed.
  private func write(to path: String) throws(KeyFile.Failure) {
    guard var text = try? RandomText.base62Bytes(count: 43) + [0x0A] else { throw .system(path: path, errno: EIO) }
    defer { erase(&text) }
    try KeyFile.create(path, SecretBytes(copying: text))
  }
}
