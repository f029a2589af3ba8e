internal import ArgumentParser
internal import Configuration
internal import ConfiguredKeys
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import StrictJSON

extension Audit {
  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the whole chain to a file, one JSON object a line.",
      discussion: "`coffer audit verify --file` checks it. The file is made with mode 0600 and never over another.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Option(help: "The file to make.") var to: String

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let file = try FreshFile(Folder.absolute(to))
      let path = "/admin/v1/tenants/\(tenant)/audit/export"
      var lines = 0
      var cursor: String?
      repeat {
        let uri = path + (cursor.map { "?cursor=" + $0 } ?? "")
        let part = try AdminClient.lines(uri, directory: Folder.absolute(directory.path))
        try file.write(part.bytes)
        lines += part.bytes.count { $0 == 0x0A }
        cursor = part.nextCursor
      } while cursor != nil
      try file.finish()
      // The first line is of the chain.
      print("\(lines - 1) entries")
    }
  }
}

/// A file that gets its name once it is whole and on disk.
@safe final class FreshFile {
  private let path: String
  private let temporary: String
  private let file: UnsafeMutablePointer<FILE>

  init(_ path: String) throws {
    guard unsafe access(path, F_OK) != 0 else { throw Trouble("\(path) exists already and is not overwritten") }
    self.path = path
    temporary = path + ".\(getpid())"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0, let file = unsafe fdopen(descriptor, "w") else {
      throw Trouble("\(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
    unsafe self.file = file
  }

  deinit {
    unsafe fclose(file)
    unsafe unlink(temporary)
  }

  func write(_ bytes: [UInt8]) throws {
    guard unsafe fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Trouble("\(path) could not be written whole") }
  }

  func finish() throws {
    guard unsafe fflush(file) == 0, unsafe fsync(fileno(file)) == 0, unsafe link(temporary, path) == 0 else {
      throw Trouble("\(path) could not be written whole: \(unsafe String(cString: strerror(errno)))")
    }
  }
}

/// An export, to be checked without its store.
struct ExportedFile {
  private let chain: ExportedChain
  private let path: String

  init(_ path: String) throws {
    guard let chain = ExportedChain(try Folder.contents(of: path, limit: 1 << 30)) else {
      throw Trouble("\(path) is no export of an audit chain")
    }
    self.path = path
    self.chain = chain
  }

  func verdict(directory: String, head: Audit.Mark?) throws -> JSONObject {
    let root = try Self.rootKey(directory, id: chain.rootKeyID)
    let mark = head.map { AuditMark(sequence: $0.sequence, hash: WireText.decodeHexadecimal($0.hash) ?? []) }
    guard let walk = chain.walk(roots: root.map { RootKeys($0) }, mark: mark) else {
      throw Trouble("\(path) holds a line that is no entry")
    }
    return JSONObject(uniqueMembers: [
      .init(name: "ok", value: .bool(walk.firstBad == nil)), .init(name: "entries", value: .number(JSONNumber(walk.entries))),
      .init(name: "firstBad", value: walk.firstBad.map { .number(JSONNumber($0)) } ?? .null),
      .init(name: "cutThrough", value: walk.checkpoint.map { .number(JSONNumber($0.sequence)) } ?? .null),
      .init(name: "headIsCut", value: .bool(walk.markIsCut)), .init(name: "macsChecked", value: .bool(root != nil)),
    ])
  }

  /// The key that made the MACs, also when another has its place now; nil where there is none: the links can be checked without.
  private static func rootKey(_ directory: String, id: String?) throws -> RootKey? {
    let configuration = try AdminClient.settings(directory)
    let hasFile = unsafe access(configuration.rootKeyFile.value, F_OK) == 0
    guard hasFile || configuration.rootKeyCommand != nil else { return nil }
    let root = try AdminClient.rootKey(configuration)
    guard let id, id != root.id else { return root }
    return try? RootKeySource.file(configuration.rootKeyFiles.retiredPath(id)).read()
  }
}
