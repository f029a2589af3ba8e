internal import CShim
internal import Glibc

/// A child process that this one started and alone may end.
struct Child {
  let pid: pid_t

  enum Output {
    case ours
    /// Into a pipe; its errors are of no interest.
    case read(Int32)
    /// All into a file, in a session of its own: it outlives this process and the terminal.
    case detached(log: Int32)
  }

  /// - Parameters:
  ///   - environment: `NAME=value` entries; nothing else reaches the child.
  ///   - output: where its standard output and errors go.
  static func start(_ program: String, _ arguments: [String], environment: [[UInt8]], output: Output = .ours) throws -> Child {
    var argv = unsafe ([program] + arguments).map { unsafe strdup($0) }
    unsafe argv.append(nil)
    var envp = unsafe environment.map { entry in unsafe entry.withUnsafeBytes { unsafe strndup($0.baseAddress!, $0.count) } }
    unsafe envp.append(nil)
    defer {
      unsafe (argv + envp).forEach { entry in
        guard let entry = unsafe entry else { return }
        unsafe explicit_bzero(entry, strlen(entry))
        unsafe free(entry)
      }
    }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    // What this process ignores is its own affair.
    var usual = sigset_t()
    unsafe sigemptyset(&usual)
    unsafe sigaddset(&usual, SIGPIPE)
    unsafe posix_spawnattr_setsigdefault(&attributes, &usual)
    var flags = Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
    if case .detached = output { flags |= shim_spawn_session() }
    unsafe posix_spawnattr_setflags(&attributes, flags)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    switch output {
    case .ours: break
    case .read(let pipe):
      unsafe posix_spawn_file_actions_adddup2(&actions, pipe, STDOUT_FILENO)
      unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    case .detached(let log):
      unsafe posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO)
      unsafe posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO)
    }
    var pid: pid_t = 0
    let code = unsafe posix_spawnp(&pid, program, &actions, &attributes, argv, envp)
    guard code == 0 else {
      throw Trouble("\(program) cannot be started: \(unsafe String(cString: strerror(code))); is it installed?")
    }
    return Child(pid: pid)
  }

  /// Runs a program of the system to its end: its exit code and what it printed, 64 KiB at most.
  static func output(_ program: String, _ arguments: [String]) throws -> (code: Int32, text: String) {
    var ends: [Int32] = [0, 0]
    guard unsafe shim_pipe(&ends) == 0 else { throw Trouble("no pipe could be made") }
    defer { close(ends[0]) }
    let child: Child
    do {
      defer { close(ends[1]) }
      child = try start(program, arguments, environment: [Array("PATH=/usr/sbin:/usr/bin:/sbin:/bin".utf8)], output: .read(ends[1]))
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count < 65536 {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(ends[0], $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += chunk.prefix(count)
    }
    return (child.wait(), String(decoding: bytes, as: UTF8.self))
  }

  /// Waits for the end; the exit code, or 128 plus the signal.
  func wait() -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Child.code(status)
  }

  static func code(_ status: Int32) -> Int32 { status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F }
}
