internal import CShim
internal import Glibc

/// A child process that this one started and alone may end.
struct Child {
  let pid: pid_t

  /// - Parameter environment: `NAME=value` entries; nothing else reaches the child.
  static func start(_ program: String, _ arguments: [String], environment: [[UInt8]]) throws -> Child {
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
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    var pid: pid_t = 0
    let code = unsafe posix_spawnp(&pid, program, &actions, &attributes, argv, envp)
    guard code == 0 else {
      throw Trouble("\(program) cannot be started: \(unsafe String(cString: strerror(code))); is it installed?")
    }
    return Child(pid: pid)
  }

  /// Waits for the end; the exit code, or 128 plus the signal.
  func wait() -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Child.code(status)
  }

  static func code(_ status: Int32) -> Int32 { status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F }
}
