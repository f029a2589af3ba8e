internal import CShim
internal import Ciphers
internal import Glibc
internal import Responder
internal import SecretMemory
internal import Threads

/// The relay's thread: its epoll set and its sockets. Nothing here is shared.
@safe final class RelayLoop {
  /// Milliseconds for the handshake, for the key after it, and for the agent server to be reached and to answer.
  private static let patience: Int64 = 10_000
  /// Milliseconds for the last bytes and the client's own end.
  private static let endPatience: Int64 = 5_000
  /// Milliseconds from one look at whether keys still hold to the next.
  private static let checkPeriod: Int64 = 10_000
  /// Sockets that have not shown a good key yet, beside those that have.
  private static let maximumStrangers = 256
  private static let noAgentServer = "No agent server is configured (agent-server)"
  private static let unauthenticated: StaticString = "Authentication failed"

  private let shared: RelayState
  private let judge: any SocketJudge
  private let listener: Listener
  private let epoll: Int32
  private let buffer: UnsafeMutableRawBufferPointer
  private var sockets: [Int32: RelayedSocket] = [:]
  /// By the descriptor of the agent server's end.
  private var clients: [Int32: Int32] = [:]
  private var isListening = true
  private var listensAgainAt: Int64?
  private var lastSweep: Int64 = 0
  private var lastCheck: Int64

  init(_ shared: RelayState, _ listener: Listener, _ judge: any SocketJudge) throws(ResponderError) {
    self.shared = shared
    self.listener = listener
    self.judge = judge
    lastCheck = Monotonic.milliseconds()
    unsafe buffer = .allocate(byteCount: 32 << 10, alignment: 16)
    epoll = epoll_create1(O_CLOEXEC)
    guard epoll >= 0 else { throw .system("epoll_create1", errno) }
    for descriptor in [shared.bell, listener.descriptor] {
      guard shim_epoll_control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue, UInt64(descriptor)) == 0 else {
        throw .system("epoll_ctl", errno)
      }
    }
  }

  deinit {
    for socket in sockets.values {
      close(socket.client)
      if socket.upstream >= 0 { close(socket.upstream) }
    }
    close(epoll)
    unsafe buffer.deallocate()
  }

  func run() {
    var events = unsafe [epoll_event](repeating: epoll_event(), count: 128)
    while true {
      let count = unsafe epoll_wait(epoll, &events, Int32(events.count), shared.isDraining ? 100 : 1000)
      for index in 0..<Int(max(0, count)) {
        let (data, told) = unsafe withUnsafePointer(to: &events[index]) { event in
          unsafe (Int32(truncatingIfNeeded: shim_epoll_data(event)), shim_epoll_events(event))
        }
        dispatch(data, told)
      }
      sweep()
      if shared.isStopping || (shared.isDraining && sockets.isEmpty) { return }
    }
  }

  private func dispatch(_ descriptor: Int32, _ events: UInt32) {
    let hasEnded = events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
    if descriptor == shared.bell {
      for found in shared.takeFound() {
        guard let socket = sockets[found.client], socket.begun == found.begun, case .dialling = socket.phase else { continue }
        socket.addresses = found.addresses[...]
        dialNext(socket)
        settle(socket)
      }
    } else if descriptor == listener.descriptor {
      accept()
    } else if let socket = sockets[descriptor] {
      if events & EPOLLOUT.rawValue != 0 || hasEnded { sendToClient(socket) }
      if sockets[descriptor] === socket, events & EPOLLIN.rawValue != 0 || hasEnded { readClient(socket) }
      settle(socket)
    } else if let client = clients[descriptor], let socket = sockets[client] {
      serveUpstream(socket, events, hasEnded: hasEnded)
      settle(socket)
    }
  }

  // MARK: - The client's side

  private func accept() {
    for _ in 0..<64 {
      switch listener.accept() {
      case .connection(let descriptor):
        let socket = RelayedSocket(
          client: descriptor, begun: Monotonic.nanoseconds() / 1000, deadline: Monotonic.milliseconds() + Self.patience)
        let strangers = sockets.values.count { $0.pass == nil }
        if strangers < Self.maximumStrangers {
          sockets[descriptor] = socket
          settle(socket)
        } else {
          shared.countRefused()
          close(descriptor)
        }
      case .refused: continue
      case .empty: return
      case .exhausted:
        // The listener stays readable: without a pause the loop would spin.
        listen(false)
        listensAgainAt = Monotonic.milliseconds() + 100
        return
      }
    }
  }

  private func listen(_ isOn: Bool) {
    guard isOn != isListening else { return }
    isListening = isOn
    _ = shim_epoll_control(epoll, isOn ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener.descriptor, EPOLLIN.rawValue, UInt64(listener.descriptor))
  }

  /// What one read gives; nil when nothing is there now. Empty at the end, or when the socket is broken.
  private func read(_ descriptor: Int32, atMost limit: Int) -> UnsafeMutableRawBufferPointer? {
    while true {
      let count = unsafe recv(descriptor, buffer.baseAddress, min(buffer.count, limit), 0)
      if count >= 0 { return unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]) }
      if errno == EINTR { continue }
      return unsafe errno == EAGAIN ? nil : UnsafeMutableRawBufferPointer(rebasing: buffer[..<0])
    }
  }

  private func readClient(_ socket: RelayedSocket) {
    let limit: Int
    switch socket.phase {
    case .handshake, .key: limit = Handshake.maximumHead
    case .dialling, .answer, .open: limit = socket.toUpstream.room
    case .ending: limit = .max
    }
    guard limit > 0, let bytes = unsafe read(socket.client, atMost: limit) else { return }
    // The first bytes hold the client's key.
    defer { if socket.pass == nil { unsafe erase(bytes) } }
    if unsafe bytes.isEmpty {
      socket.clientHasEnded = true
      switch socket.phase {
      case .open where !socket.toUpstream.isEmpty: socket.deadline = Monotonic.milliseconds() + Self.endPatience
      default: remove(socket)
      }
      return
    }
    switch socket.phase {
    case .handshake:
      unsafe socket.early.append(contentsOf: bytes)
      takeHandshake(socket)
    case .key(let handshake):
      unsafe socket.early.append(contentsOf: bytes)
      takeKey(socket, handshake)
    case .dialling, .answer: unsafe socket.toUpstream.append(bytes)
    case .open:
      unsafe socket.toUpstream.append(bytes)
      sendUpstream(socket)
    // Only its end is waited for.
    case .ending: return
    }
  }

  private func takeHandshake(_ socket: RelayedSocket) {
    switch Handshake.read(socket.early[...]) {
    case .incomplete: return
    case .refused where shared.options.agentServers.isEmpty: refuse(socket, 501, Self.noAgentServer)
    case .refused(let status): refuse(socket, status, "This address speaks WebSocket (RFC 6455) alone")
    case .handshake(let handshake):
      socket.requestID = handshake.requestID
      socket.keep(behind: handshake.byteCount)
      switch judge.judge(handshake.target, header: handshake.sessionKey, frame: nil, requestID: handshake.requestID) {
      case .refused(let status, let detail): refuse(socket, status, detail)
      case .keyWanted:
        socket.isAccepted = true
        socket.toClient.append(Handshake.acceptance(of: handshake.nonce))
        socket.phase = .key(handshake)
        socket.deadline = Monotonic.milliseconds() + Self.patience
        sendToClient(socket)
        if sockets[socket.client] === socket { takeKey(socket, handshake) }
      case .admitted(let pass):
        // The agent server answers this very handshake, whatever was offered in it.
        socket.nonce = handshake.nonce
        socket.offers = handshake.offers
        admit(socket, pass)
      }
    }
  }

  private func takeKey(_ socket: RelayedSocket, _ handshake: Handshake) {
    switch KeyFrame.read(socket.early[...]) {
    case .incomplete: return
    case .unacceptable: refuse(socket, 401, "")
    case .key(var key, let byteCount):
      defer { erase(&key) }
      socket.keep(behind: byteCount)
      switch judge.judge(handshake.target, header: nil, frame: key, requestID: handshake.requestID) {
      case .admitted(let pass):
        // It was accepted with nothing of what it offers, so nothing is offered.
        socket.nonce = Base64.standard.encode((try? RandomBytes.generate(count: 16)) ?? [])
        admit(socket, pass)
      case .refused, .keyWanted: refuse(socket, 401, "")
      }
    }
  }

  /// Before the socket is open a refusal is an answer of HTTP, afterwards a close frame.
  private func refuse(_ socket: RelayedSocket, _ status: Int, _ detail: String) {
    shared.countRefused()
    report(socket, status)
    if !socket.isAccepted {
      socket.toClient.append(Handshake.refusal(status, detail))
    } else if status == 503 {
      socket.toClient.append(CloseFrame.bytes(CloseFrame.tryAgainLater, "Too many sockets are open"))
    } else {
      socket.toClient.append(CloseFrame.bytes(CloseFrame.unauthenticated, Self.unauthenticated))
    }
    end(socket)
  }

  private func report(_ socket: RelayedSocket, _ status: Int) {
    guard !socket.isReported else { return }
    socket.isReported = true
    shared.options.onReply(
      SocketReply(
        requestID: socket.requestID, status: status, microseconds: UInt64(max(0, Monotonic.nanoseconds() / 1000 - socket.begun)),
        tenant: socket.pass?.tenant ?? "", keyID: socket.pass?.keyID ?? ""))
  }

  private func sendToClient(_ socket: RelayedSocket) {
    if case .broken = socket.toClient.send(to: socket.client) { return remove(socket) }
    guard socket.toClient.isEmpty else { return }
    if case .ending = socket.phase { shutdown(socket.client, Int32(SHUT_WR)) }
  }

  // MARK: - The agent server's side

  private func admit(_ socket: RelayedSocket, _ pass: SocketPass) {
    guard shared.options.agentServers.indices.contains(pass.agentServer) else { return refuse(socket, 501, Self.noAgentServer) }
    let address = shared.options.agentServers[pass.agentServer].address
    guard sockets.values.count(where: { $0.pass != nil }) < shared.options.limit else {
      return refuse(socket, 503, "Too many sockets are open; try again")
    }
    socket.pass = pass
    socket.toUpstream.append(socket.early)
    erase(&socket.early)
    socket.early = []
    socket.phase = .dialling
    socket.deadline = Monotonic.milliseconds() + Self.patience
    socket.addresses = address.resolved(isNumeric: true)[...]
    if socket.addresses.isEmpty { shared.resolve(address, for: socket.client, begun: socket.begun) } else { dialNext(socket) }
  }

  private func dialNext(_ socket: RelayedSocket) {
    while let next = socket.addresses.popFirst() {
      switch next.dial() {
      case .failed: continue
      case .pending(let descriptor):
        attach(descriptor, to: socket)
        return
      case .connected(let descriptor):
        attach(descriptor, to: socket)
        return greet(socket)
      }
    }
    fail(socket, 502, "The agent server cannot be reached")
  }

  private func attach(_ descriptor: Int32, to socket: RelayedSocket) {
    socket.upstream = descriptor
    clients[descriptor] = socket.client
  }

  private func detach(_ socket: RelayedSocket) {
    guard socket.upstream >= 0 else { return }
    clients[socket.upstream] = nil
    close(socket.upstream)
    socket.upstream = -1
    socket.upstreamInterest = nil
  }

  private func greet(_ socket: RelayedSocket) {
    guard let pass = socket.pass else { return remove(socket) }
    let server = shared.options.agentServers[pass.agentServer]
    let request = Handshake.request(
      pass.address, host: server.address.host, nonce: socket.nonce, offers: socket.offers, key: server.key)
    let waiting = Array(socket.toUpstream.contents)
    socket.toUpstream = ByteQueue()
    socket.toUpstream.append(request + waiting)
    socket.phase = .answer
    sendUpstream(socket)
  }

  private func serveUpstream(_ socket: RelayedSocket, _ events: UInt32, hasEnded: Bool) {
    if case .dialling = socket.phase {
      var code: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      unsafe getsockopt(socket.upstream, SOL_SOCKET, SO_ERROR, &code, &size)
      if code == 0, !hasEnded { return greet(socket) }
      detach(socket)
      return dialNext(socket)
    }
    if events & EPOLLOUT.rawValue != 0 { sendUpstream(socket) }
    guard events & EPOLLIN.rawValue != 0 || hasEnded else { return }
    switch socket.phase {
    case .answer: readAnswer(socket)
    case .open: readUpstream(socket)
    case .handshake, .key, .dialling, .ending: return
    }
  }

  private func sendUpstream(_ socket: RelayedSocket) {
    guard socket.upstream >= 0 else { return }
    // A broken one shows at the next read, behind what it still says.
    if case .broken = socket.toUpstream.send(to: socket.upstream) { socket.toUpstream = ByteQueue() }
    if socket.toUpstream.isEmpty, socket.clientHasEnded { remove(socket) }
  }

  private func readAnswer(_ socket: RelayedSocket) {
    guard let bytes = unsafe read(socket.upstream, atMost: Handshake.maximumHead) else { return }
    if unsafe bytes.isEmpty { return fail(socket, 502, "The agent server ended the handshake") }
    unsafe socket.answer.append(contentsOf: bytes)
    switch HandshakeReply.read(socket.answer[...], nonce: socket.nonce) {
    case .incomplete: return
    case .garbled: fail(socket, 502, "The agent server's answer is no answer to a WebSocket handshake")
    case .reply(let reply) where !reply.opens: fail(socket, 502, "The agent server refused the socket with status \(reply.status)")
    case .reply(let reply):
      let rest = socket.answer[reply.byteCount...]
      if !socket.isAccepted { socket.toClient.append(socket.answer[..<reply.byteCount]) }
      socket.isAccepted = true
      socket.tracker.take(rest)
      socket.toClient.append(rest)
      socket.answer = []
      socket.deadline = nil
      socket.phase = .open
      shared.countOpened()
      report(socket, 101)
      sendToClient(socket)
    }
  }

  private func readUpstream(_ socket: RelayedSocket) {
    guard socket.toClient.room > 0, let bytes = unsafe read(socket.upstream, atMost: socket.toClient.room) else { return }
    if unsafe bytes.isEmpty {
      if socket.tracker.isBetweenFrames, !socket.tracker.hasClosed {
        socket.toClient.append(CloseFrame.bytes(CloseFrame.failed, "The agent server is gone"))
      }
      return end(socket)
    }
    let taken = unsafe takeFrames(bytes, socket)
    unsafe socket.toClient.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<taken]))
    sendToClient(socket)
    if sockets[socket.client] === socket { leave(socket) }
  }

  /// How many of the bytes go on to the client: where it is to be told to leave, up to the end of the present frame.
  private func takeFrames(_ bytes: UnsafeMutableRawBufferPointer, _ socket: RelayedSocket) -> Int {
    guard socket.farewell != nil else {
      unsafe socket.tracker.take(bytes)
      return bytes.count
    }
    var count = 0
    while count < bytes.count, !socket.tracker.isBetweenFrames {
      unsafe socket.tracker.take(CollectionOfOne(bytes[count]))
      count += 1
    }
    return count
  }

  /// No more from the agent server once its present frame is whole.
  private func dismiss(_ socket: RelayedSocket, _ code: UInt16, _ reason: StaticString) {
    guard socket.farewell == nil else { return }
    socket.farewell = CloseFrame.bytes(code, reason)
    socket.deadline = Monotonic.milliseconds() + Self.endPatience
    leave(socket)
  }

  private func leave(_ socket: RelayedSocket) {
    guard let farewell = socket.farewell, socket.tracker.isBetweenFrames else { return }
    if !socket.tracker.hasClosed { socket.toClient.append(farewell) }
    end(socket)
  }

  /// The agent server did not take the socket.
  private func fail(_ socket: RelayedSocket, _ status: Int, _ detail: String) {
    report(socket, status)
    if socket.isAccepted {
      socket.toClient.append(CloseFrame.bytes(CloseFrame.failed, "The agent server did not take the socket"))
    } else {
      socket.toClient.append(Handshake.refusal(status, detail))
    }
    end(socket)
  }

  // MARK: - Ends

  /// What is left goes to the client; then its own end is waited for.
  private func end(_ socket: RelayedSocket) {
    if case .open = socket.phase { shared.countClosed() }
    detach(socket)
    socket.toUpstream = ByteQueue()
    socket.phase = .ending
    socket.deadline = Monotonic.milliseconds() + Self.endPatience
    sendToClient(socket)
  }

  private func remove(_ socket: RelayedSocket) {
    guard sockets[socket.client] === socket else { return }
    if case .open = socket.phase { shared.countClosed() }
    detach(socket)
    sockets[socket.client] = nil
    close(socket.client)
    socket.clientInterest = nil
    erase(&socket.early)
  }

  /// Tells the epoll set what is wanted now. A descriptor of which nothing is wanted leaves it: its end would be told again
  /// and again.
  private func settle(_ socket: RelayedSocket) {
    guard sockets[socket.client] === socket else { return }
    watch(socket.client, socket.clientEvents, &socket.clientInterest)
    if socket.upstream >= 0 { watch(socket.upstream, socket.upstreamEvents, &socket.upstreamInterest) }
  }

  private func watch(_ descriptor: Int32, _ events: UInt32, _ known: inout UInt32?) {
    let wanted = events == 0 ? nil : events
    guard wanted != known else { return }
    let operation = wanted == nil ? EPOLL_CTL_DEL : known == nil ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
    _ = shim_epoll_control(epoll, operation, descriptor, events, UInt64(descriptor))
    known = wanted
  }

  // MARK: - Time

  private func sweep() {
    let now = Monotonic.milliseconds()
    if let time = listensAgainAt, now >= time {
      listensAgainAt = nil
      listen(true)
    }
    if shared.isDraining {
      // What waits in the backlog has no other process to serve it.
      if isListening { accept() }
      listen(false)
      for socket in Array(sockets.values) {
        switch socket.phase {
        case .handshake: socket.deadline = min(socket.deadline ?? .max, now + 1000)
        case .key, .dialling, .answer:
          if socket.isAccepted { socket.toClient.append(CloseFrame.bytes(CloseFrame.goingAway, "The server restarts")) }
          end(socket)
        case .open: dismiss(socket, CloseFrame.goingAway, "The server restarts")
        case .ending: continue
        }
        settle(socket)
      }
    }
    guard now - lastSweep >= 500 else { return }
    lastSweep = now
    for socket in Array(sockets.values) {
      guard let deadline = socket.deadline, now >= deadline else { continue }
      switch socket.phase {
      case .key: refuse(socket, 401, "")
      case .dialling, .answer: fail(socket, 504, "The agent server did not answer in time")
      case .handshake, .open, .ending: remove(socket)
      }
      settle(socket)
    }
    guard now - lastCheck >= Self.checkPeriod else { return }
    lastCheck = now
    for socket in Array(sockets.values) {
      guard case .open = socket.phase, let pass = socket.pass, !judge.stillAdmits(pass) else { continue }
      dismiss(socket, CloseFrame.unauthenticated, Self.unauthenticated)
      settle(socket)
    }
  }
}

extension RelayedSocket {
  /// Drops the first bytes of what came early and overwrites them.
  fileprivate func keep(behind count: Int) {
    var old = early
    early = Array(old[count...])
    erase(&old)
  }
}
