internal import CShim
internal import Ciphers
internal import Glibc
internal import HTTPMessages
internal import SecretMemory
internal import Synchronization
internal import Threads

/// One loop thread: its epoll set, its connections, its parser, its handler. Nothing here is shared but what says so.
@safe final class Loop {
  /// Requests up to this size are parsed where they arrive; longer ones are read by a thread of their own.
  private static let peekBytes = 64 << 10
  /// How long a request may take to arrive, in seconds.
  private static let arrivalLimit: Int64 = 10
  private static let listenerTag: UInt64 = 1 << 32
  private static let inboxTag: UInt64 = 2 << 32

  private let shared: ResponderState
  private let handler: any RequestHandler
  private let inbox: Inbox
  private let ledger: Ledger
  private let epoll: Int32
  private let parser = LibFCGI()
  private let buffer: UnsafeMutableRawBufferPointer
  private var connections: [Int32: Connection] = [:]
  private var listensTo: [Listener]
  private var isInTurn = false
  private var acceptsAgainAt: Int64?
  private var lastSweep: Int64 = 0
  private var requestCount: UInt64 = 0
  private let name: String

  init(index: Int, shared: ResponderState, inbox: Inbox, listeners: [Listener], handler: any RequestHandler) throws(ResponderError) {
    self.shared = shared
    self.handler = handler
    self.inbox = inbox
    ledger = Ledger(shared.meter, observer: shared.observer)
    listensTo = listeners
    name = "\(getpid())-\(index)-"
    unsafe buffer = .allocate(byteCount: Self.peekBytes, alignment: 16)
    epoll = epoll_create1(O_CLOEXEC)
    guard epoll >= 0 else { throw .system("epoll_create1", errno) }
    try watch(inbox.descriptor, UInt32(EPOLLIN.rawValue), Self.inboxTag)
    try listen()
  }

  deinit {
    for descriptor in connections.keys { close(descriptor) }
    close(epoll)
    unsafe buffer.deallocate()
  }

  private func watch(_ descriptor: Int32, _ events: UInt32, _ data: UInt64) throws(ResponderError) {
    guard shim_epoll_control(epoll, EPOLL_CTL_ADD, descriptor, events, data) == 0 else { throw .system("epoll_ctl", errno) }
  }

  private func listen() throws(ResponderError) {
    for (index, listener) in listensTo.enumerated() {
      try watch(listener.descriptor, EPOLLIN.rawValue | EPOLLEXCLUSIVE.rawValue, Self.listenerTag | UInt64(index))
    }
  }

  private func stopListening() {
    for listener in listensTo { _ = shim_epoll_control(epoll, EPOLL_CTL_DEL, listener.descriptor, 0, 0) }
  }

  // MARK: - Turns

  /// Serves until the responder has drained or was told to stop.
  func run() {
    var events = unsafe [epoll_event](repeating: epoll_event(), count: 128)
    while true {
      let count = unsafe epoll_wait(epoll, &events, Int32(events.count), timeout)
      for index in 0..<Int(max(0, count)) {
        unsafe withUnsafePointer(to: &events[index]) { event in dispatch(unsafe shim_epoll_data(event), unsafe shim_epoll_events(event)) }
      }
      endTurn()
      sweep()
      handler.passes()
      if isDone { return }
    }
  }

  private var timeout: Int32 { acceptsAgainAt != nil || shared.phase != .serving || hasPartial ? (deferred.isEmpty ? 100 : 5) : 1000 }
  private var hasPartial = false
  /// Long requests that wait for a reading thread, at most until their time to arrive is over.
  private var deferred: [Connection] = []

  private func dispatch(_ data: UInt64, _ events: UInt32) {
    switch data & ~0xFFFF_FFFF {
    case Self.inboxTag: for connection in inbox.take() { look(connection) }
    case Self.listenerTag: accept(Int(data & 0xFFFF_FFFF))
    default:
      guard let connection = connections[Int32(truncatingIfNeeded: data)] else { return }
      look(connection, hasEnded: events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0)
    }
  }

  private func endTurn() {
    guard isInTurn else { return }
    isInTurn = false
    handler.turnEnds()
  }

  private var isDone: Bool {
    switch shared.phase {
    case .serving: return false
    case .draining: return listensTo.isEmpty && connections.isEmpty
    case .stopping: return true
    }
  }

  // MARK: - Connections

  private func accept(_ index: Int) {
    guard index < listensTo.count else { return }
    let listener = listensTo[index]
    // Bounded, so that a storm of connections does not starve those that are there.
    for _ in 0..<64 {
      switch listener.accept() {
      case .connection(let descriptor): add(descriptor, from: listener.traits)
      case .refused: shared.count(.refusedPeer)
      case .empty: return
      case .exhausted:
        // The listener stays readable: without a pause the loop would spin.
        shared.count(.exhaustion)
        stopListening()
        acceptsAgainAt = Monotonic.milliseconds() + 100
        return
      }
    }
  }

  private func add(_ descriptor: Int32, from origin: ListenerTraits) {
    let connection = Connection(descriptor: descriptor, from: origin, inbox: inbox, ledger: ledger)
    let events = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
    guard shim_epoll_control(epoll, EPOLL_CTL_ADD, descriptor, events, UInt64(descriptor)) == 0 else {
      close(descriptor)
      return
    }
    shared.count(.connection)
    connections[descriptor] = connection
  }

  private func remove(_ connection: Connection) {
    guard connections[connection.descriptor] === connection else { return }
    connections[connection.descriptor] = nil
    close(connection.descriptor)
    shared.count(.endedConnection)
  }

  private enum Standing {
    case busy, unsent, over, free
    case ready(LibFCGI.Parsed)
  }

  /// Does whatever the connection is due: the rest of an answer, its end, or its next request.
  private func look(_ connection: Connection, hasEnded: Bool = false) {
    guard connections[connection.descriptor] === connection else { return }
    if !connection.flush() {
      let events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
      _ = shim_epoll_control(epoll, EPOLL_CTL_MOD, connection.descriptor, events, UInt64(connection.descriptor))
      return
    }
    let standing = connection.state.withLock { state -> Standing in
      if let ready = state.ready {
        state.ready = nil
        return .ready(ready)
      }
      if state.isBusy {
        state.wasSignalled = true
        return .busy
      }
      return state.closesAfterReply ? .over : .free
    }
    switch standing {
    case .busy, .unsent: return
    case .over: remove(connection)
    case .ready(let parsed): answer(parsed, on: connection)
    case .free: read(connection, hasEnded: hasEnded)
    }
  }

  /// - Parameter hasEnded: nothing will come after what is there; then a part of a request stays a part.
  private func read(_ connection: Connection, hasEnded: Bool) {
    let count = unsafe shim_peek(connection.descriptor, buffer.baseAddress, UInt(buffer.count))
    guard count > 0 else {
      if count == 0 || (errno != EAGAIN && errno != EINTR) { remove(connection) }
      return
    }
    let arrived = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    defer { unsafe erase(arrived) }
    switch unsafe Record.arrival(UnsafeRawBufferPointer(arrived)) {
    case .unacceptable:
      shared.count(.refusedRecord)
      remove(connection)
    case .partial(let keepsConnection):
      if unsafe hasEnded && count < buffer.count {
        remove(connection)
      } else if unsafe count == buffer.count {
        readElsewhere(connection, keepsConnection: keepsConnection)
      } else {
        hasPartial = true
        connection.state.withLock { $0.partialSince = $0.partialSince ?? Monotonic.milliseconds() / 1000 }
      }
    case .whole(let keepsConnection):
      connection.state.withLock { $0.partialSince = nil }
      answer(
        parser.parse(connection.descriptor, from: connection.origin, keepsConnection: keepsConnection, freshID: freshID),
        on: connection)
    }
  }

  /// For a request that brings no usable id: `req_` and 26 characters (scoped spec, section 1.3).
  private func freshID() -> String {
    requestCount += 1
    let now = Int64(time(nil)) * 1000
    return (try? RandomText.ulid(at: now)).map { "req_" + $0 } ?? name + String(requestCount)
  }

  private func answer(_ parsed: LibFCGI.Parsed, on connection: Connection) {
    switch parsed {
    case .closed:
      // libfcgi has closed the descriptor, which took it out of the epoll set.
      connections[connection.descriptor] = nil
      shared.count(.endedConnection)
    case .refused(let refusal, let call):
      shared.count(.refusal)
      connection.state.withLock { $0.isBusy = true }
      if connection.reply(handler.refuse(refusal, requestID: call.requestID), to: call) { look(connection) }
    case .request(let request, var call):
      shared.count(.request)
      isInTurn = true
      handler.requestBegins()
      connection.state.withLock { $0.isBusy = true }
      let answer = handler.handle(request)
      call.mark = handler.lastMark
      switch answer {
      case .now(let response):
        if connection.reply(response, to: call) { look(connection) }
      case .later(let start):
        let pending = PendingReply(connection, call, abandoned: handler.abandoned)
        start { pending.send($0) }
      }
    }
  }

  /// A request too long to be seen whole in the socket is read by a thread that may wait, through a descriptor of its
  /// own, so that what libfcgi does to it cannot touch the loop's.
  private func readElsewhere(_ connection: Connection, keepsConnection: Bool) {
    guard shared.startsLongRead() else {
      hasPartial = true
      connection.state.withLock { $0.partialSince = $0.partialSince ?? Monotonic.milliseconds() / 1000 }
      deferred.append(connection)
      return
    }
    let copy = fcntl(connection.descriptor, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else {
      shared.endLongRead()
      return remove(connection)
    }
    connection.state.withLock {
      $0.isBusy = true
      $0.partialSince = Monotonic.milliseconds() / 1000
    }
    hasPartial = true
    let state = shared
    let id = freshID()
    PlainThread.start(named: "coffer-body") {
      let flags = fcntl(copy, F_GETFL)
      _ = fcntl(copy, F_SETFL, flags & ~O_NONBLOCK)
      let parsed = LibFCGI().parse(copy, from: connection.origin, keepsConnection: keepsConnection, freshID: { id })
      var isOver = true
      if case .closed = parsed {
      } else {
        _ = fcntl(copy, F_SETFL, flags)
        close(copy)
        isOver = false
      }
      state.endLongRead()
      connection.state.withLock {
        $0.partialSince = nil
        if isOver {
          $0.isBusy = false
          $0.closesAfterReply = true
        } else {
          $0.ready = parsed
        }
      }
      connection.inbox.add(connection)
    }
  }

  // MARK: - Time

  private func sweep() {
    let now = Monotonic.milliseconds()
    if shared.phase != .serving { drain() }
    if let time = acceptsAgainAt, now >= time {
      acceptsAgainAt = nil
      try? listen()
    }
    let waiting = deferred
    deferred = []
    for connection in waiting { look(connection) }
    endTurn()
    guard hasPartial, now - lastSweep >= 500 else { return }
    lastSweep = now
    hasPartial = false
    for connection in connections.values {
      let (since, isBusy) = connection.state.withLock { ($0.partialSince, $0.isBusy) }
      guard let since else { continue }
      if now / 1000 - since < Self.arrivalLimit {
        hasPartial = true
      } else if isBusy {
        // The reading thread wakes with an end of file and gives the connection back.
        shutdown(connection.descriptor, Int32(SHUT_RDWR))
      } else {
        remove(connection)
      }
    }
  }

  /// The backlog is served to its end before the listener goes: those requests have no other process to answer them.
  private func drain() {
    guard !listensTo.isEmpty else { return }
    for index in listensTo.indices { accept(index) }
    stopListening()
    listensTo = []
    endTurn()
  }
}
