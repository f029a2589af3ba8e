internal import Glibc
package import SecretMemory

/// A program that prints a key, such as one that asks a key store or a hardware module.
///
/// It is started without a shell, with PATH and HOME as its whole environment, without standard input, in a process group of its
/// own that is ended when its time is over. What it prints goes nowhere but into memory that is erased.
package struct KeyCommand: Sendable {
  package enum Failure: Error, Sendable, Equatable {
    /// It is named by an absolute path, so that no PATH decides what is run.
    case notAbsolute
    case notStarted(errno: Int32)
    /// The exit code, or 128 and the number of the signal.
    case failed(code: Int32)
    case tooSlow(seconds: Int64)
    case tooLong

    /// What failed and what to do. What the program printed is never told.
    package var message: String {
      switch self {
      case .notAbsolute: "root-key-command must begin with the absolute path of a program"
      case .notStarted(let code): "the root-key-command cannot be started: \(unsafe String(cString: strerror(code)))"
      case .failed(let code): "the root-key-command failed with \(code); run it by hand to see why"
      case .tooSlow(let seconds): "the root-key-command did not end within \(seconds) seconds"
      case .tooLong: "the root-key-command printed more than a key"
      }
    }
  }

  private static let maximumBytes = 4096
  private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  private let words: [String]

  /// - Parameter text: the program and its arguments between blanks. No quotes: what needs more is a script.
  package init(_ text: String) throws(Failure) {
    words = text.split { $0 == " " || $0 == "\t" }.map(String.init)
    guard words.first?.utf8.first == UInt8(ascii: "/") else { throw .notAbsolute }
  }

  /// Runs it to its end.
  ///
  /// - Parameter patience: milliseconds until it is ended.
  package func output(within patience: Int64) throws(Failure) -> SecretBytes {
    var ends: [Int32] = [0, 0]
    guard unsafe pipe(&ends) == 0 else { throw .notStarted(errno: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    let deadline = Self.now() + patience
    let started = Result { () throws(Failure) in try start(output: ends[1]) }
    close(ends[1])
    let child = try started.get()
    do throws(Failure) {
      let text = try Self.contents(of: ends[0], until: deadline, patience)
      try Self.await(child, until: deadline, patience)
      return text
    } catch {
      Self.end(child)
      throw error
    }
  }

  private func start(output: Int32) throws(Failure) -> pid_t {
    let home = unsafe getenv("HOME").map { unsafe String(cString: $0) }
    var argv: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
    unsafe argv.append(nil)
    var variables = ["PATH=" + Self.path]
    if let home { variables.append("HOME=" + home) }
    var envp: [UnsafeMutablePointer<CChar>?] = unsafe variables.map { unsafe strdup($0) }
    unsafe envp.append(nil)
    defer { unsafe (argv + envp).forEach { unsafe free($0) } }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    var pid: pid_t = 0
    let code = unsafe posix_spawn(&pid, words[0], &actions, &attributes, &argv, &envp)
    guard code == 0 else { throw .notStarted(errno: code) }
    return pid
  }

  private static func contents(of descriptor: Int32, until deadline: Int64, _ patience: Int64) throws(Failure) -> SecretBytes {
    var buffer = [UInt8](repeating: 0, count: maximumBytes + 1)
    defer { erase(&buffer) }
    var count = 0
    while true {
      var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let left = deadline - now()
      guard left > 0 else { throw .tooSlow(seconds: patience / 1000) }
      let ready = unsafe poll(&waited, 1, Int32(left))
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else { continue }
      let room = buffer.count - count
      let result = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress! + count, room) }
      if result < 0, errno == EINTR { continue }
      if result <= 0 { return unsafe SecretBytes(copying: buffer.span.bytes.extracting(first: count)) }
      count += result
      guard count <= maximumBytes else { throw .tooLong }
    }
  }

  /// It may close its output long before it ends.
  private static func await(_ child: pid_t, until deadline: Int64, _ patience: Int64) throws(Failure) {
    var status: Int32 = 0
    while true {
      let result = unsafe waitpid(child, &status, WNOHANG)
      if result == child { break }
      if result < 0, errno != EINTR { throw .failed(code: 127) }
      guard now() < deadline else { throw .tooSlow(seconds: patience / 1000) }
      usleep(2_000)
    }
    // wait(2): the low 7 bits are the signal, 0 for an exit.
    let signal = status & 0x7F
    let code = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    guard code == 0 else { throw .failed(code: code) }
  }

  /// With everything that it has started, unless that has left the group.
  private static func end(_ child: pid_t) {
    kill(-child, SIGKILL)
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
  }

  /// Monotonic milliseconds.
  private static func now() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

/// Where the root key comes from: a file (a systemd credential is one), or a program.
package enum RootKeySource: Sendable {
  case file(String)
  case command(String)

  package enum Failure: Error, Sendable, Equatable {
    case file(KeyFile.Failure)
    case command(KeyCommand.Failure)
    case text(RootKey.TextError)
    /// A command, and a file that somebody has named.
    case both

    package var message: String {
      switch self {
      case .file(let failure): failure.storeMessage
      case .command(let failure): failure.message
      case .text(.newerFormat): "the root key has the format of a newer Coffer"
      case .text(.wrongCheck): "the root key has a slip in it: its check does not fit; compare it with your copy"
      case .text(.empty), .text(.notARootKey): "what should be the root key is none; restore it from your copy"
      case .both: "root-key-command and root-key-file are both set; leave one out"
      }
    }
  }

  /// - Parameter isNamed: somebody has named the file; a default gives way to a command.
  package init(file: String, isNamed: Bool, command: String?) throws(Failure) {
    guard let command else {
      self = .file(file)
      return
    }
    if isNamed { throw .both }
    self = .command(command)
  }

  /// Milliseconds that a program has.
  private static let patience: Int64 = 30_000

  package func read(within patience: Int64 = Self.patience) throws(Failure) -> RootKey {
    let text: SecretBytes
    switch self {
    case .file(let path):
      do throws(KeyFile.Failure) { text = try KeyFile.read(path) } catch { throw .file(error) }
    case .command(let command):
      do throws(KeyCommand.Failure) { text = try KeyCommand(command).output(within: patience) } catch { throw .command(error) }
    }
    do throws(RootKey.TextError) { return try RootKey(text: text) } catch { throw .text(error) }
  }
}
