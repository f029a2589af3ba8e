internal import CShim
internal import Glibc
internal import Threads

/// How other threads reach a loop: connections to look at again, and an eventfd that wakes it.
final class Inbox: Sendable {
  let descriptor: Int32
  private let waiting = Locked<[Connection]>([])

  init() throws(ResponderError) {
    descriptor = eventfd(0, O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("eventfd", errno) }
  }

  deinit { close(descriptor) }

  func add(_ connection: Connection) {
    waiting.withLock { $0.append(connection) }
    wake()
  }

  func wake() {
    var one: UInt64 = 1
    _ = unsafe write(descriptor, &one, 8)
  }

  /// Everything that waits, after clearing the eventfd.
  func take() -> [Connection] {
    var count: UInt64 = 0
    _ = unsafe read(descriptor, &count, 8)
    return waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
