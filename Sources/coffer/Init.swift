internal import ArgumentParser
internal import Ciphers
internal import Glibc
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a store, its keys and a configuration.",
    discussion: """
      The keys are shown once and kept nowhere. The root key is in DIR/keys/root.key: keep a copy of that file apart from the store.

      --from FILE makes tenants, teams, projects, agents and memberships as a JSON file names them. It works on a store that is there \
      too, may be repeated, and deletes nothing; docs/operations.md has an example.
      """)

  @OptionGroup var directory: DirectoryOption
  @Flag(help: "Print one JSON object with adminKey and sessionKey.") var json = false
  @Option(help: "Make what this file declares.") var from: String?

  func run() throws {
    var declaration: Declaration?
    if let from {
      guard let text = Folder.read(from) else { throw Trouble("\(from) cannot be read") }
      declaration = try Declaration(text)
    }
    if declaration == nil || !NewStore.exists(in: directory.path) {
      try declaration.map(DeclaredStructure.judgeAlone)
      let keys = try NewStore.make(in: directory.path)
      if json { print(try keys.json) } else { print(try keys.text(directory: directory.path)) }
    }
    guard let declaration else { return }
    var count = 0
    try DeclaredStructure(directory: Folder.absolute(directory.path)).apply(declaration) { line in
      count += 1
      Notice.print("made: " + line)
    }
    if count == 0 { Notice.print("everything is there already") }
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
    try Folder.demandOwn(directory)
    do {
      return try fill(directory)
    } catch {
      // None of it was there before: what a failed attempt leaves would keep the next one from starting.
      for part in made { unsafe unlink(directory + part) }
      throw error
    }
  }

  /// What `make` makes, in the order in which it may go again.
  private static let made = [
    "/store/coffer.db-wal", "/store/coffer.db-shm", "/store/coffer.db", "/store/coffer.lock", "/keys/wire.key", "/keys/root.key",
  ]

  private static func fill(_ directory: String) throws -> ShownKeys {
    for (part, mode) in [("/keys", UInt32(0o700)), ("/store", 0o700), ("/run", 0o750)] { try Folder.make(directory + part, mode: mode) }
    let root = try RootKey.generate()
    do throws(KeyFile.Failure) {
      try KeyFile.create(directory + "/keys/root.key", root.text)
      try WireKeyFiles(path: directory + "/keys/wire.key").create()
    } catch { throw Trouble(error.message) }
    let keys = try fill(directory + "/store", root)
    if unsafe access(directory + "/coffer.conf", F_OK) != 0 {
      try Folder.write(configurationText, to: directory + "/coffer.conf", mode: 0o600)
    }
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

  /// The shipped file with every setting and its default, or a line that says where it is.
  private static var configurationText: String {
    let shipped = Shipped.directory("conf", holding: "coffer.conf").flatMap { Folder.read($0 + "/coffer.conf") }
    return shipped
      ?? "# Coffer's configuration: lines of `key = value`. Every setting has a default; conf/coffer.conf in the source lists them.\n"
  }
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

  /// Unix milliseconds as RFC 3339.
  static func text(_ milliseconds: Int64) -> String { UTCTime(unixMicroseconds: milliseconds * 1000).text }
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

  /// Refuses a directory that others could plant files in.
  static func demandOwn(_ path: String) throws {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else { throw Trouble("\(path) is no directory") }
    guard facts.st_uid == geteuid() else { throw Trouble("\(path) belongs to another user; make it with the account that runs Coffer") }
    guard facts.st_mode & 0o022 == 0 else { throw Trouble("\(path) can be changed by other users; run: chmod 0700 \(path)") }
  }

  static func write(_ text: String, to path: String, mode: UInt32) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw Trouble("\(path) cannot be written: \(unsafe String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count == bytes.count else { throw Trouble("\(path) could not be written whole") }
  }

  /// A small text file of our own; nil when it cannot be read whole.
  static func read(_ path: String) -> String? {
    (try? contents(of: path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes of a file, all of them.
  static func contents(of path: String, limit: Int) throws -> [UInt8] {
    func failed() -> Trouble { Trouble("\(path) cannot be read: \(unsafe String(cString: strerror(errno)))") }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed() }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failed() }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
      guard bytes.count <= limit else { throw Trouble("\(path) is longer than \(limit >> 20) MiB") }
    }
  }
}
