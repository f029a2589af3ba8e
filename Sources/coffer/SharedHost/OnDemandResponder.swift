internal import Configuration
internal import FastCGIClient
internal import Glibc

/// The one cofferd of a store, started by whoever first finds that none serves.
struct OnDemandResponder {
  let directory: String
  /// What cofferd inherits.
  let environment: [[UInt8]]

  /// Bytes from which the log is put aside at a start; the one before it goes.
  private static let longLog = 8 << 20
  private static let patience = 20.0

  /// A connection to the running cofferd, which is started when there is none.
  func connect() throws -> Int32 {
    if let connection = try existing() { return connection }
    let lock = try startLock()
    // Closing lets the others go on; they find what this one started.
    defer { close(lock) }
    if let connection = try existing() { return connection }
    return try start()
  }

  /// nil when nobody listens there.
  private func existing() throws -> Int32? {
    let socket = try AdminClient.settings(directory).socket.value
    do throws(FastCGIClient.Failure) {
      return try FastCGIClient(path: socket).connected()
    } catch {
      if case .unreachable(ENOENT) = error { return nil }
      if case .unreachable(ECONNREFUSED) = error { return nil }
      throw Trouble("\(socket) cannot be used by the account of the web server's programs")
    }
  }

  private func startLock() throws -> Int32 {
    let path = directory + "/run/start.lock"
    let lock = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lock >= 0 else { throw Trouble("\(path) cannot be opened: \(unsafe String(cString: strerror(errno)))") }
    while flock(lock, LOCK_EX) != 0, errno == EINTR {}
    return lock
  }

  private func start() throws -> Int32 {
    let path = directory + "/run/cofferd.log"
    var facts = stat()
    if unsafe stat(path, &facts) == 0, facts.st_size > Self.longLog { unsafe rename(path, path + ".1") }
    let log = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard log >= 0 else { throw Trouble("\(path) cannot be written: \(unsafe String(cString: strerror(errno)))") }
    defer { close(log) }
    let child = try Child.start(Program.cofferd, ["--dir", directory], environment: environment, output: .detached(log: log))
    for _ in 0..<Int(Self.patience / 0.01) {
      if let connection = try existing() { return connection }
      var status: Int32 = 0
      guard unsafe waitpid(child.pid, &status, WNOHANG) != child.pid else {
        throw Trouble("cofferd did not start (exit \(Child.code(status))); see \(path)")
      }
      usleep(10_000)
    }
    throw Trouble("cofferd did not become ready within \(Int(Self.patience)) seconds; see \(path)")
  }
}
