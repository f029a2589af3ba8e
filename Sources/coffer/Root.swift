internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

struct Root: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Change the root key; keep a copy of it that only a passphrase opens, try it, bring the key back from it.",
    discussion: """
      Without the root key neither the store nor a backup opens, ever. The copy is one line of text, for another place or for paper; \
      it opens with the passphrase alone, so choose one that cannot be guessed, and keep it apart from the copy.
      """, subcommands: [Status.self, Rotate.self, Escrow.self, Drill.self, Restore.self])

  struct Escrow: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write the copy: to standard output, or into a file that is not there yet.")
    @OptionGroup var directory: DirectoryOption
    @OptionGroup var passphrase: PassphraseOption
    @Option(help: "The file to write, mode 0400.") var out: String?

    func run() throws {
      let root = try AdminClient.rootKeyInUse(Folder.absolute(directory.path))
      let words = try passphrase.chosen()
      let text = try Root.told { () throws(RootEscrow.Failure) in try RootEscrow(of: root, passphrase: words).text }
      guard let out else { return print(text, terminator: "") }
      do throws(KeyFile.Failure) { try KeyFile.create(Folder.absolute(out), SecretBytes(copying: Array(text.utf8))) } catch {
        throw Trouble(error.message)
      }
      print("\(out): a copy of root key \(root.id); prove it with: coffer root drill \(out)")
    }
  }

  struct Drill: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prove that a copy opens this store: a backup is made, opened with the copy, and verified to its last row.",
      discussion: "A running cofferd serves on. The backup is removed again; its entry in the audit chain stays.")
    @OptionGroup var directory: DirectoryOption
    @OptionGroup var passphrase: PassphraseOption
    @Argument(help: "The copy.") var copy: String

    func run() throws {
      let path = Folder.absolute(directory.path)
      let root = try Root.opened(copy, passphrase)
      let configuration = try AdminClient.settings(path)
      guard try AdminClient.rootKeyID(path) == root.id else {
        throw Trouble("the copy holds root key \(root.id), and this store is under another; make a new copy with: coffer root escrow")
      }
      let backup = configuration.directory.value + "/drill-" + Moment.stamp()
      defer { unsafe unlink(backup) }
      _ = try AdminClient.send(
        .post, "/admin/v1/backup", body: ["path": .string(JSONString(backup)), "replace": false], directory: path,
        patience: AdminClient.longPatience)
      let examined = try ExaminedBackup(backup, configuration, root: root)
      defer { examined.discard() }
      let report = try VerificationText(try examined.verify(nil))
      report.show()
      guard report.isSound else { throw Trouble("the copy opens the store, but what the store holds is not as it should be") }
      print("the copy holds root key \(root.id), and it opens this store")
    }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the root key from a copy to where it is read, unless there is one.",
      discussion: "Where there is no wire key either, a new one is made: put a copy of keys/wire.key there first, if you have one.")
    @OptionGroup var directory: DirectoryOption
    @OptionGroup var passphrase: PassphraseOption
    @Argument(help: "The copy.") var copy: String

    func run() throws {
      let root = try Root.opened(copy, passphrase)
      let configuration = try AdminClient.settings(Folder.absolute(directory.path))
      guard configuration.rootKeyCommand == nil else { throw Trouble("the root key comes from a command; bring it back there") }
      let path = configuration.rootKeyFile.value
      if let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.utf8.startIndex {
        try Folder.make(String(path[..<slash]), mode: 0o700)
      }
      do throws(KeyFile.Failure) { try KeyFile.create(path, root.text) } catch { throw Trouble(error.message) }
      print("\(path): root key \(root.id)")
      try makeWireKey(configuration)
    }

    /// A server needs one to start. The one that was lost is in no copy: nothing that is stored needs it.
    private func makeWireKey(_ configuration: Configuration) throws {
      let path = configuration.wireKeyFile.value
      guard configuration.wireKey.given == nil, unsafe access(path, F_OK) != 0 else { return }
      do throws(KeyFile.Failure) { try WireKeyFiles(path: path).create() } catch { throw Trouble(error.message) }
      print("\(path): a new wire key; encrypted values that frontends still hold open no longer")
    }
  }

  /// The key in a copy. Nothing of it or of the passphrase is told.
  fileprivate static func opened(_ path: String, _ passphrase: PassphraseOption) throws -> RootKey {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Trouble("\(path) cannot be read: \(unsafe String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    let text: SecretBytes
    do throws(KeyFile.Failure) { text = try KeyFile.contents(of: descriptor, path: path) } catch { throw Trouble(error.message) }
    let escrow = try told { () throws(RootEscrow.Failure) in try RootEscrow(text: text) }
    let words = try passphrase.known()
    return try told { () throws(RootEscrow.Failure) in try escrow.open(passphrase: words) }
  }

  fileprivate static func told<T>(_ body: () throws(RootEscrow.Failure) -> T) throws -> T {
    do throws(RootEscrow.Failure) { return try body() } catch {
      switch error {
      case .notAnEscrow: throw Trouble("that is no copy of a root key, or there is a slip in it")
      case .newerFormat: throw Trouble("a newer Coffer has written this copy; use that version")
      case .doesNotOpen: throw Trouble("the copy does not open: another passphrase, or the copy was changed")
      case .cipher: throw Trouble("the key could not be derived: is there enough memory (128 MiB)?")
      }
    }
  }
}

/// A passphrase from a file, a pipe or a prompt; never from the arguments, which every user of the machine can read.
struct PassphraseOption: ParsableArguments {
  @Option(help: "Read the passphrase from this file, open to its owner alone, instead of standard input.") var passphraseFile: String?

  private static let minimumBytes = 12

  /// A new one: asked for twice at a terminal.
  func chosen() throws -> SecretBytes {
    let words = try known()
    guard words.count >= Self.minimumBytes else { throw Trouble("a passphrase has at least \(Self.minimumBytes) bytes") }
    if passphraseFile == nil, Terminal.isThere {
      let again = Terminal.secretLine("the same again: ")
      guard again == words else { throw Trouble("the two differ; nothing was written") }
    }
    return words
  }

  func known() throws -> SecretBytes {
    do throws(KeyFile.Failure) {
      if let passphraseFile { return try KeyFile.read(Folder.absolute(passphraseFile)).withoutLineEnd }
      if !Terminal.isThere { return try KeyFile.contents(of: STDIN_FILENO, path: "standard input").withoutLineEnd }
    } catch { throw Trouble(error.message) }
    guard let line = Terminal.secretLine("passphrase: ") else { throw Trouble("no passphrase was given") }
    return line
  }
}
