internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import Store

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Put a backup in the place of the store, while no cofferd runs.",
    discussion: """
      The backup is verified to its last bit first: a file that is cut off, changed, made with another root key or by a newer Coffer \
      is refused, and nothing is changed. The store that was there is kept beside as DIR/store.before-restore-TIME; delete it when you \
      are sure. On a new machine DIR needs nothing but keys/root.key and keys/wire.key. What happened after the backup is undone: a key \
      that was revoked since is valid again.
      """)

  @OptionGroup var directory: DirectoryOption
  @Option(help: "The backup.") var from: String
  @Flag(help: "Verify the backup and change nothing.") var dryRun = false

  func run() throws {
    let configuration = try AdminClient.settings(Folder.absolute(directory.path))
    let folder = configuration.directory.value
    try Folder.demandOwn(folder)
    let store = folder + "/store"
    // Held to the end: no cofferd starts meanwhile.
    let lock = dryRun ? nil : try Self.lock(store)
    defer { withExtendedLifetime(lock) {} }
    let backup = try ExaminedBackup(Folder.absolute(from), configuration)
    defer { backup.discard() }
    let report = try VerificationText(try backup.verify(nil))
    report.show()
    guard report.isSound else { throw Trouble("\(from) is not restored: what it holds is not as it should be; nothing was changed") }
    guard !dryRun else { return print("verified; nothing was changed") }
    try backup.recordRestore()
    let aside = store + ".before-restore-" + Moment.stamp()
    let hadStore = unsafe access(store, F_OK) == 0
    try Folder.make(folder + "/run", mode: 0o750)
    do throws(StoreError) {
      try StoreDirectory.replace(store, by: backup.handOver(), keeping: aside)
    } catch {
      throw Trouble("the store could not be replaced (\(unsafe String(cString: strerror(errno)))); see what lies in \(folder)")
    }
    print("restored from \(from)" + (hadStore ? "; the store before it is kept in \(aside)" : ""))
  }

  /// nil when there is no store yet.
  private static func lock(_ store: String) throws -> StoreLock? {
    guard unsafe access(store, F_OK) == 0 else { return nil }
    do { return try StoreLock.take(store) } catch {
      switch error {
      case .locked: throw Trouble("a cofferd has the store; stop it first; nothing was changed")
      default: throw Trouble("\(store) cannot be locked; it must belong to the account that runs Coffer")
      }
    }
  }
}

extension Moment {
  /// Now in UTC, for the name of a file.
  static func stamp() -> String {
    let milliseconds = milliseconds()
    var seconds = time_t(milliseconds / 1000)
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = unsafe strftime(&text, text.count, "%Y%m%dT%H%M%S", &parts)
    let fraction = String(1000 + milliseconds % 1000).dropFirst()
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) + "." + fraction + "Z"
  }
}
