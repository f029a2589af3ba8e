internal import CShim
internal import Glibc
internal import SecretMemory

/// Graceful restart: this program starts itself anew and ends once the new process serves.
///
/// The successor gets the same arguments and environment, secrets included, which this process has kept in erasable
/// memory since it scrubbed them; and the writing end of a pipe, named by `COFFER_READY_FD`, into which it writes one byte
/// when it serves. It opens the store for reading at once; its writes wait until this process has let go of the lock.
struct SuccessorLaunch {
  private static let variable = "COFFER_READY_FD"
  /// Milliseconds a successor may take.
  private static let patience: Int32 = 10_000

  private let plain: [String]
  private let secret: [SecretBytes]
  private let readyDescriptor: Int32?

  var isSuccessor: Bool { readyDescriptor != nil }

  /// - Parameters:
  ///   - environment: `NAME=value` entries as the process found them.
  ///   - secretNames: variables whose values are kept in erasable memory.
  init(environment: [[UInt8]], secretNames: [String]) {
    var plain: [String] = []
    var secret: [SecretBytes] = []
    var ready: Int32?
    for entry in environment {
      let name = String(decoding: entry.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
      if name == Self.variable {
        ready = Int32(String(decoding: entry.dropFirst(name.utf8.count + 1), as: UTF8.self))
      } else if secretNames.contains(name) {
        secret.append(SecretBytes(copying: entry + [0]))
      } else {
        plain.append(String(decoding: entry, as: UTF8.self))
      }
    }
    self.plain = plain
    self.secret = secret
    readyDescriptor = ready
    if let ready { _ = fcntl(ready, F_SETFD, FD_CLOEXEC) }
    unsafe unsetenv(Self.variable)
  }

  /// Tells the process before that this one serves.
  func tellReady() {
    guard let readyDescriptor else { return }
    var byte: UInt8 = 1
    _ = unsafe write(readyDescriptor, &byte, 1)
    close(readyDescriptor)
  }

  /// Starts the successor and waits until it serves. nil when it does not: this process serves on.
  func launch() -> Int32? {
    var ends: [Int32] = [0, 0]
    guard unsafe shim_pipe(&ends) == 0 else { return nil }
    defer { close(ends[0]) }
    let pid = spawn(handing: ends[1])
    close(ends[1])
    guard let pid else { return nil }
    var wait = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
    let result = unsafe poll(&wait, 1, Self.patience)
    var byte: UInt8 = 0
    if result == 1, unsafe read(ends[0], &byte, 1) == 1 { return pid }
    kill(pid, SIGKILL)
    var status: Int32 = 0
    unsafe waitpid(pid, &status, 0)
    return nil
  }

  private func spawn(handing descriptor: Int32) -> Int32? {
    // The successor's number must survive exec: a plain dup does.
    let kept = dup(descriptor)
    guard kept >= 0 else { return nil }
    defer { close(kept) }
    let variables = plain + ["\(Self.variable)=\(kept)"]
    var environment = unsafe variables.map { unsafe strdup($0) }
    for entry in secret {
      entry.withBytes { bytes in unsafe bytes.withUnsafeBytes { bytes in unsafe environment.append(Self.copy(bytes)) } }
    }
    unsafe environment.append(nil)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    defer {
      unsafe (environment + arguments).forEach { entry in
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
    var pid: pid_t = 0
    // By path where there is one: after an upgrade it leads to the new program.
    let program = CommandLine.arguments[0].utf8.contains(UInt8(ascii: "/")) ? CommandLine.arguments[0] : "/proc/self/exe"
    guard unsafe posix_spawn(&pid, program, nil, &attributes, arguments, environment) == 0 else { return nil }
    return pid
  }

  private static func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<CChar>? {
    guard let memory = unsafe malloc(bytes.count) else { return nil }
    unsafe memory.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
    return unsafe memory.assumingMemoryBound(to: CChar.self)
  }
}
