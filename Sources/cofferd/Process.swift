internal import CShim
internal import Configuration
internal import Glibc
internal import SecretMemory

enum Processors {
  static var count: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}

/// Signals arrive at `wait` and nowhere else: blocked before any thread starts, so that every thread inherits it.
enum Signals {
  enum Wish {
    case end, restart
  }

  private static func set() -> sigset_t {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2] { unsafe sigaddset(&signals, signal) }
    return signals
  }

  static func block() {
    var signals = set()
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  static func wait() -> Wish {
    var signals = set()
    while true {
      var signal: Int32 = 0
      guard unsafe sigwait(&signals, &signal) == 0 else { continue }
      switch signal {
      case SIGTERM, SIGINT: return .end
      case SIGHUP: return .restart
      default: continue
      }
    }
  }
}

/// What the process may not do, before it holds anything.
enum Hardening {
  static func apply() {
    _ = shim_forbid_dumps()
    _ = shim_raise_limits()
    umask(0o077)
  }
}

enum Heap {
  /// Lets threads that have little to do share the heaps of the others: glibc gives each thread one of its own otherwise, of which a
  /// fifth of a megabyte is never given back. To be called before the loops start.
  ///
  /// - Parameter loops: each has one, and so have the first thread, the log and the writer.
  static func share(beside loops: Int) { shim_limit_heaps(Int32(clamping: loops + 3)) }
}

enum PIDFile {
  /// `D/run/cofferd.pid`, replaced at once: whoever reads it sees the old number or the new.
  static func write(directory: String) throws {
    let path = directory + "/run/cofferd.pid"
    let temporary = path + ".new"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let text = Array("\(getpid())\n".utf8)
    _ = unsafe text.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    unsafe rename(temporary, path)
  }
}

enum Clock {
  /// Unix milliseconds.
  static func milliseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

enum ConfigurationFiles {
  /// A configuration file's bytes; nil when there is none.
  static func read(_ path: String) throws(ConfigurationError) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw .fileUnreadable(path: path)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0, bytes.count <= 1 << 20 else { throw .fileUnreadable(path: path) }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
    }
  }
}
