internal import ArgumentParser
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Write what another server reads.", subcommands: [OpenHands.self])

  struct OpenHands: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "openhands", abstract: "Write the persistence folder of an OpenHands agent server.",
      discussion: """
        Settings, secrets, profiles, agent profiles, provider connections and workspaces, with every secret sealed: by the wire \
        key (OH_SECRET_KEY, or DIR/keys/wire.key), or by the key in --key-file. Start the agent server with that text as its \
        OH_SECRET_KEY and with the folder as its OH_PERSISTENCE_DIR. Nothing is ever written in the clear.
        """)

    @Argument(help: "The folder to make.") var folder: String
    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant to export.") var tenant = "default"
    @Option(help: "A file with the key to seal with, instead of the wire key.") var keyFile: String?
    @Flag(help: "Put the folder in the place of one that is not empty; that one is kept under another name.") var force = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let target = try FreshFolder(Folder.absolute(folder), replaces: force)
      var body = JSONObject()
      if let keyFile { body["key"] = .string(try Self.key(keyFile)) }
      let answer = try AdminClient.send(
        .post, "/admin/v1/tenants/\(tenant)/export/openhands", body: .object(body), directory: Folder.absolute(directory.path))
      guard let data = answer["data"]?.object, let files = data["files"]?.object else { throw Trouble("the answer holds no files") }
      for file in files.members { try target.write(IndentedJSON.text(file.value), to: file.name.text) }
      let old = try target.finish()
      print("\(files.count) files in \(folder)")
      if let old { print("what was there is now \(old)") }
      print("sealed with the key in \(keyFile ?? data["key"]?.string?.text ?? ""): the agent server needs it as OH_SECRET_KEY")
      for place in data["notOpened"]?.array ?? [] {
        print("the agent server does not open: \(place.string?.text ?? ""); set it there anew")
      }
    }

    private static func key(_ path: String) throws -> JSONString {
      let text = SecretBytes(copying: try Folder.contents(of: path, limit: 4096)).withoutLineEnd
      guard !text.isEmpty else { throw Trouble("\(path) holds no key") }
      return text.withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) }
    }
  }
}

/// A folder that is made beside its place and gets there whole. Directories have mode 0700, files 0600.
final class FreshFolder {
  private let path: String
  private let temporary: String
  private let replaces: Bool
  private var made: [String] = []

  /// Refuses a place that is taken, before anything is asked for.
  init(_ path: String, replaces: Bool) throws {
    self.path = path
    self.replaces = replaces
    temporary = path + ".coffer-\(getpid())"
    guard replaces || Self.isFree(path) else { throw Trouble("\(path) is not empty; name another folder, or use --force") }
    try make("")
  }

  /// What was made and did not get its place goes, files before their directories.
  deinit { for part in made.reversed() { unsafe remove(temporary + part) } }

  func write(_ text: [UInt8], to name: String) throws {
    let parts = name.split(separator: "/").map(String.init)
    guard (1...2).contains(parts.count), !parts.contains(where: { $0.hasPrefix(".") }) else {
      throw Trouble("the answer holds a wrong path")
    }
    if parts.count == 2, !made.contains("/" + parts[0]) { try make("/" + parts[0]) }
    let file = temporary + "/" + name
    let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.failed(file) }
    defer { close(descriptor) }
    made.append("/" + name)
    var offset = 0
    while offset < text.count {
      let start = offset
      let count = unsafe text.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start) }
      guard count > 0 else { throw Self.failed(file) }
      offset += count
    }
    guard fsync(descriptor) == 0 else { throw Self.failed(file) }
  }

  /// Gives the folder its place.
  ///
  /// - Returns: where the one that was there is now; nil when there was none.
  func finish() throws -> String? {
    for directory in made.filter({ part in part.isEmpty || made.contains { $0.hasPrefix(part + "/") } }) {
      try Self.sync(temporary + directory)
    }
    var old: String?
    if !Self.isFree(path) {
      guard replaces else { throw Trouble("\(path) is not empty any more; nothing was written there") }
      let kept = path + ".before-\(Moment.milliseconds())"
      guard unsafe rename(path, kept) == 0 else { throw Self.failed(path) }
      old = kept
    }
    guard unsafe rename(temporary, path) == 0 else {
      let trouble = Self.failed(path)
      if let old { unsafe rename(old, path) }
      throw trouble
    }
    made = []
    try Self.sync(path + "/..")
    return old
  }

  private func make(_ part: String) throws {
    guard unsafe mkdir(temporary + part, 0o700) == 0 else { throw Self.failed(temporary + part) }
    made.append(part)
  }

  /// There is nothing, or an empty directory.
  private static func isFree(_ path: String) -> Bool {
    guard let directory = unsafe opendir(path) else { return errno == ENOENT }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    return count <= 2
  }

  private static func sync(_ path: String) throws {
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed(path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failed(path) }
  }

  private static func failed(_ path: String) -> Trouble {
    Trouble("\(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
  }
}
