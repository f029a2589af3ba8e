internal import ArgumentParser
internal import Ciphers
internal import Glibc
internal import KeyRing
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a store, its keys and a configuration.",
    discussion:
      "The keys are shown once and kept nowhere. The root key is in DIR/keys/root.key: keep a copy of that file apart from the store.")

  @OptionGroup var directory: DirectoryOption
  @Flag(help: "Print one JSON object with adminKey and sessionKey.") var json = false

  func run() throws {
    let keys = try NewStore.make(in: directory.path)
    if json { print(try keys.json) } else { print(try keys.text(directory: directory.path)) }
  }
}

/// A store made from nothing.
enum NewStore {
  /// A store or a part of one is there. A missing key is then a loss to be told, not a reason to make another.
  static func exists(in directory: String) -> Bool {
    ["/keys/root.key", "/keys/wire.key", "/store/coffer.db"].contains { unsafe access(directory + $0, F_OK) == 0 }
  }

  static func make(in directory: String) throws -> ShownKeys {
    guard !exists(in: directory) else { throw Trouble("\(directory) is initialised already; its keys cannot be shown again") }
    try Folder.make(directory, mode: 0o700)
    try Folder.make(directory + "/keys", mode: 0o700)
    try Folder.make(directory + "/run", mode: 0o750)
    let root = try RootKey.generate()
    do {
      try KeyFile.create(directory + "/keys/root.key", root.text)
      var wire = try RandomText.base62Bytes(count: 43) + [0x0A]
      defer { erase(&wire) }
      try KeyFile.create(directory + "/keys/wire.key", SecretBytes(copying: wire))
    } catch let error as KeyFile.Failure { throw Trouble(error.message) }
    let keys = try fill(directory + "/store", root)
    try Folder.write(configurationText, to: directory + "/coffer.conf", mode: 0o600)
    return keys
  }

  private static func fill(_ path: String, _ root: RootKey) throws -> ShownKeys {
    let store = try SQLiteStore(directory: path)
    defer { store.close() }
    let result = Locked<Result<FirstKeys, any Error>?>(nil)
    let done = OneTimeEvent()
    Service.initialise(store, root: root, now: Moment.milliseconds) { outcome in
      result.withLock { $0 = outcome }
      done.signal()
    }
    done.wait()
    guard let keys = try result.withLock({ $0 })?.get() else { throw Trouble("the store could not be filled") }
    return ShownKeys(admin: keys.admin, session: keys.session)
  }

  private static let configurationText = """
    # Coffer's configuration. Every setting has a default; `conf/coffer.conf` in the source lists them all.
    # Flags win over the environment, the environment over this file.

    """
}

/// The first keys, to be shown once.
struct ShownKeys {
  let admin: SecretBytes
  let session: SecretBytes

  var json: String {
    get throws {
      let object: JSONValue = ["adminKey": .string(text(admin)), "sessionKey": .string(text(session))]
      return String(decoding: object.serialized(), as: UTF8.self)
    }
  }

  func text(directory: String) throws -> String {
    """
    Keys, shown once and kept nowhere:
      session key (X-Session-API-Key, level backend)  \(text(session).text)
      admin key                                       \(text(admin).text)

    The root key opens everything and is needed to restore a backup. Copy it now to a place of its own:
      \(directory)/keys/root.key
    It is one line of text; on paper it is as good as in a file. Never keep it beside a backup of the store.
    """
  }

  private func text(_ key: SecretBytes) -> JSONString {
    key.withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) }
  }
}

enum Moment {
  /// Unix milliseconds.
  static func milliseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

enum Folder {
  /// Makes a directory with its parents; one that is there keeps its mode.
  static func make(_ path: String, mode: UInt32) throws {
    if unsafe mkdir(path, mode) == 0 || errno == EEXIST { return }
    if errno == ENOENT, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.utf8.startIndex {
      try make(String(path[..<slash]), mode: 0o755)
      if unsafe mkdir(path, mode) == 0 || errno == EEXIST { return }
    }
    throw Trouble("\(path) cannot be made: \(unsafe String(cString: strerror(errno)))")
  }

  static func write(_ text: String, to path: String, mode: UInt32) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw Trouble("\(path) cannot be written: \(unsafe String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count == bytes.count else { throw Trouble("\(path) could not be written whole") }
  }

  static func read(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0, bytes.count < 4 << 20 else { break }
      bytes += chunk.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
