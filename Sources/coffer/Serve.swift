internal import ArgumentParser
internal import Glibc

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run cofferd in the place of this program, for an nginx that runs already.",
    discussion: "Further settings come from DIR/coffer.conf and the environment.")

  @OptionGroup var directory: DirectoryOption

  func run() throws {
    let program = Program.cofferd
    let words = [program, "--dir", Folder.absolute(directory.path)]
    var arguments = unsafe words.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    unsafe execvp(program, arguments)
    throw Trouble("\(program) cannot be started: \(unsafe String(cString: strerror(errno)))")
  }
}

struct Restart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Have the running cofferd start its successor; no request fails.",
    discussion: "Waits until the successor serves. A successor that cannot start leaves the old process as it is.")

  @OptionGroup var directory: DirectoryOption

  func run() throws {
    let path = Folder.absolute(directory.path)
    guard let (old, new) = try Self.startSuccessor(path) else { throw Trouble("no cofferd runs for \(path)") }
    print("cofferd \(new) serves in the place of \(old)")
  }

  /// Waits until another process serves. nil when none runs.
  static func startSuccessor(_ directory: String) throws -> (old: pid_t, new: pid_t)? {
    guard let old = ResponderPID.read(directory), kill(old, SIGHUP) == 0 else { return nil }
    for _ in 0..<480 {
      if let now = ResponderPID.read(directory), now != old { return (old, now) }
      usleep(25_000)
    }
    throw Trouble("cofferd \(old) serves on: its successor did not become ready; see its log")
  }
}
