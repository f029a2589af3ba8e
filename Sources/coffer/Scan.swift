internal import ArgumentParser
internal import Glibc
internal import KeyRing
internal import SecretMemory
internal import Service
internal import StrictJSON

struct Scan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Find Coffer's keys and tokens in files.",
    discussion: """
      Reads files of any kind whole, directories with all they hold, and standard input for `-` (git log -p | coffer scan -). Prints \
      where a key begins, its kind and its id, with which it can be revoked; never the key. What cannot be scanned is named on \
      standard error. Compressed files are read as they are. Exit codes: 0 nothing found, 1 something found, 2 nothing found but \
      something could not be read.
      """)

  @Argument(help: "Files and directories.") var paths: [String]
  @Flag(help: "Print one JSON object a line.") var json = false

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name a file or a directory, or - for standard input") }
  }

  func run() throws {
    var search = KeySearch(asJSON: json)
    for path in paths {
      if path == "-" { search.read(STDIN_FILENO, named: Array("-".utf8)) } else { unsafe search.visit(AT_FDCWD, path, Array(path.utf8)) }
    }
    fflush(nil)
    if search.count > 0 { throw ExitCode(1) }
    if search.hasGaps { throw ExitCode(2) }
  }
}

/// A walk through files that prints what it finds.
struct KeySearch {
  private static let kinds = Dictionary(
    uniqueKeysWithValues: APIKeyKind.allCases.map { ($0.prefix, $0.rawValue) } + [(InviteToken.prefix, "invite")])
  private static let pieceBytes = 1 << 18

  let asJSON: Bool
  private(set) var count = 0
  /// Something named, or found on the way, could not be read.
  private(set) var hasGaps = false

  init(asJSON: Bool) { self.asJSON = asJSON }

  /// `name` in the directory `parent`, called `path` for people. A link is followed only when it was named itself.
  mutating func visit(_ parent: Int32, _ name: UnsafePointer<CChar>, _ path: [UInt8]) {
    report(KeyScanner.findings(in: path, prefixes: Self.kinds.keys.sorted()), in: path, isName: true)
    var facts = stat()
    guard unsafe fstatat(parent, name, &facts, parent == AT_FDCWD ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return note(path, failed()) }
    switch facts.st_mode & S_IFMT {
    case S_IFREG, S_IFDIR: break
    case S_IFLNK: return note(path, "a symbolic link; what it points to is scanned where it lies")
    default: return note(path, "neither a file nor a directory")
    }
    let descriptor = unsafe openat(parent, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (parent == AT_FDCWD ? 0 : O_NOFOLLOW))
    guard descriptor >= 0 else { return note(path, failed()) }
    if facts.st_mode & S_IFMT == S_IFDIR { return walk(descriptor, path) }
    read(descriptor, named: path)
    close(descriptor)
  }

  /// Everything in an open directory, which is closed.
  private mutating func walk(_ descriptor: Int32, _ path: [UInt8]) {
    guard let directory = unsafe fdopendir(descriptor) else {
      close(descriptor)
      return note(path, failed())
    }
    defer { unsafe closedir(directory) }
    while true {
      errno = 0
      guard let entry = unsafe readdir(directory) else { break }
      var name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
      if name == Array(".".utf8) || name == Array("..".utf8) { continue }
      let child = path + (path.last == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]) + name
      name.append(0)
      unsafe name.withUnsafeBytes { unsafe visit(descriptor, $0.baseAddress!.assumingMemoryBound(to: CChar.self), child) }
    }
    if errno != 0 { note(path, failed()) }
  }

  /// To the end of the file.
  mutating func read(_ descriptor: Int32, named path: [UInt8]) {
    var scanner = KeyScanner(prefixes: Self.kinds.keys.sorted())
    var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
    defer { erase(&piece) }
    while true {
      let result = unsafe piece.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if result < 0, errno == EINTR { continue }
      guard result >= 0 else { return note(path, failed()) }
      if result == 0 { return }
      report(scanner.scan(piece[..<result]), in: path, isName: false)
    }
  }

  private mutating func report(_ findings: [KeyScanner.Finding], in path: [UInt8], isName: Bool) {
    for finding in findings {
      count += 1
      let kind = Self.kinds[finding.prefix] ?? finding.prefix
      guard asJSON else {
        print(Self.shown(path) + (isName ? ": in the name" : ":\(finding.offset)"), kind, finding.id, separator: "  ")
        continue
      }
      var row = JSONObject()
      row["path"] = .text(String(decoding: KeyScanner.masked(path, prefixes: Self.kinds.keys.sorted()), as: UTF8.self))
      row["offset"] = isName ? .null : .number(JSONNumber(finding.offset))
      row["kind"] = .text(kind)
      row["id"] = .text(finding.id)
      Output.line(row)
    }
  }

  private mutating func note(_ path: [UInt8], _ reason: Trouble) {
    hasGaps = true
    Notice.print("not scanned: \(Self.shown(path)): \(reason)")
  }

  private func note(_ path: [UInt8], _ reason: String) { Notice.print("not scanned: \(Self.shown(path)): \(reason)") }

  private func failed() -> Trouble { Trouble(unsafe String(cString: strerror(errno))) }

  /// A path for a terminal: control characters as \xNN, a key in it without its secret.
  private static func shown(_ path: [UInt8]) -> String {
    let masked = String(decoding: KeyScanner.masked(path, prefixes: kinds.keys.sorted()), as: UTF8.self)
    return masked.unicodeScalars.map { scalar in
      guard scalar.properties.generalCategory == .control else { return String(scalar) }
      return (scalar.value < 16 ? "\\x0" : "\\x") + String(scalar.value, radix: 16)
    }.joined()
  }
}
