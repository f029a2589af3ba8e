internal import CShim
internal import Glibc
internal import HTTPMessages
internal import Threads

/// How other threads reach a loop: what it is to do, and an eventfd that wakes it.
final class Inbox: Sendable {
  enum Task: Sendable {
    /// A connection has something new.
    case look(Connection)
    /// A request was answered.
    case reply(Response, Call, Connection)
  }

  let descriptor: Int32
  private let waiting = Locked<[Task]>([])

  init() throws(ResponderError) {
    descriptor = eventfd(0, O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("eventfd", errno) }
  }

  deinit { close(descriptor) }

  func add(_ task: Task) {
    let isFirst = waiting.withLock { waiting in
      waiting.append(task)
      return waiting.count == 1
    }
    // Whoever found others there relies on the wake of the first.
    if isFirst { wake() }
  }

  func wake() {
    var one: UInt64 = 1
    _ = unsafe write(descriptor, &one, 8)
  }

  /// Everything that waits, after clearing the eventfd.
  func take() -> [Task] {
    var count: UInt64 = 0
    _ = unsafe read(descriptor, &count, 8)
    return waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
