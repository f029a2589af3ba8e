internal import CShim
internal import Glibc

/// A POSIX thread that runs one closure.
package enum PlainThread {
  private final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  package static func start(named name: StaticString, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
    var thread = pthread_t()
    let named: @Sendable () -> Void = {
      unsafe shim_name_thread(name.utf8Start)
      body()
    }
    let start = unsafe Unmanaged.passRetained(Start(named)).toOpaque()
    let code = unsafe pthread_create(
      &thread, &attributes,
      { start in
        if let start = unsafe start { unsafe Unmanaged<Start>.fromOpaque(start).takeRetainedValue().body() }
        return nil
      }, start)
    precondition(code == 0, "no thread could be made")
  }
}

/// An event that happens once and stays happened.
///
/// Unchecked: a POSIX semaphore is made to be shared, and its address never moves.
@safe package final class OneTimeEvent: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>

  package init() {
    unsafe semaphore = .allocate(capacity: 1)
    unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  package func signal() { unsafe sem_post(semaphore) }

  /// Returns at once when the event has happened.
  package func wait() {
    while unsafe sem_wait(semaphore) != 0, errno == EINTR {}
    signal()
  }

  /// False when the event has not happened within `milliseconds`, however the clock is set meanwhile.
  package func wait(atMost milliseconds: Int64) -> Bool {
    var deadline = Monotonic.deadline(in: milliseconds)
    while unsafe shim_wait_until(semaphore, &deadline) != 0 {
      if errno != EINTR { return false }
    }
    signal()
    return true
  }
}

/// Hands a thread-confined object from the thread that made it to the one that will use it.
///
/// Unchecked: filled before the thread starts, taken once on it.
package final class Handover<Object: AnyObject>: @unchecked Sendable {
  private var object: Object?
  package init(_ object: Object) { self.object = object }
  package func take() -> Object {
    guard let taken = object else { preconditionFailure("taken twice") }
    object = nil
    return taken
  }
}
