internal import CShim
internal import FastCGIClient
internal import Glibc
internal import StrictJSON

/// Carries FastCGI connections as they are, from a listening socket that this process inherited to cofferd.
///
/// One thread and poll(2): mod_fcgid gives a program one request at a time, others a few. Runs until a signal ends the
/// process. What passes through is erased when its memory is freed, as everywhere (`CErasingHeap`).
struct FastCGIRelay {
  let listener: Int32
  let connect: () throws -> Int32

  private static let mostConnections = 64
  /// Milliseconds without a byte on any connection after which all end: longer than cofferd waits for anything.
  private static let silence: Int32 = 90_000

  func run() {
    signal(SIGPIPE, SIG_IGN)
    var connections: [CarriedConnection] = []
    while true {
      let hasRoom = connections.count < Self.mostConnections
      var waits = connections.flatMap(\.waits) + (hasRoom ? [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)] : [])
      let ready = unsafe poll(&waits, nfds_t(waits.count), connections.isEmpty ? -1 : Self.silence)
      if ready < 0 {
        if errno == EINTR { continue }
        return
      }
      if ready == 0 {
        connections.forEach { $0.end() }
        connections = []
        continue
      }
      for index in connections.indices { connections[index].carry(waits[2 * index].revents, waits[2 * index + 1].revents) }
      connections.removeAll { connection in
        guard connection.isOver else { return false }
        connection.end()
        return true
      }
      if hasRoom, waits.last?.revents != 0, let new = accepted() { connections.append(new) }
      // A cofferd that this process started and that has ended.
      while waitpid(-1, nil, WNOHANG) > 0 {}
    }
  }

  private func accepted() -> CarriedConnection? {
    let client = shim_accept(listener)
    guard client >= 0 else { return nil }
    do {
      let responder = try connect()
      guard fcntl(responder, F_SETFL, fcntl(responder, F_GETFL) | O_NONBLOCK) == 0 else {
        close(responder)
        throw Trouble("a socket could not be set up")
      }
      return CarriedConnection(client: client, responder: responder)
    } catch {
      Notice.print("coffer fcgi: \(error)")
      return CarriedConnection(client: client, refusal: Self.refusal)
    }
  }

  /// What a client is told while cofferd cannot be started: the reason is the operator's business and in the log.
  private static let refusal: [UInt8] = {
    let body: JSONValue = [
      "detail": "Service unavailable", "message": "Service unavailable", "code": "unavailable", "status": 503,
    ]
    let head = """
      Status: 503 Service Unavailable\r
      Content-Type: application/json\r
      Cache-Control: no-store\r
      X-Content-Type-Options: nosniff\r
      Retry-After: 5\r
      \r

      """
    return FastCGIReply.records(Array(head.utf8) + body.serialized())
  }()
}

/// One connection of the web server and its way to cofferd, or to a refusal.
private struct CarriedConnection {
  private let client: Int32
  /// -1 for a refusal: what the client sends goes nowhere.
  private let responder: Int32
  private var request = Flow()
  private var reply = Flow()
  private(set) var isOver = false

  /// Bytes on their way in one direction, read only once the last ones are gone.
  private struct Flow {
    var bytes: [UInt8] = []
    var sent = 0
    var hasEnded = false
    var isEmpty: Bool { sent == bytes.count }

    mutating func read(from descriptor: Int32) {
      var chunk = [UInt8](repeating: 0, count: 64 << 10)
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EAGAIN || errno == EINTR { return }
      guard count > 0 else { return hasEnded = true }
      chunk.removeLast(chunk.count - count)
      bytes = chunk
      sent = 0
    }

    /// False when the other end is gone.
    mutating func write(to descriptor: Int32) -> Bool {
      let count = unsafe bytes.withUnsafeBytes { unsafe shim_send(descriptor, $0.baseAddress! + sent, UInt($0.count - sent)) }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      sent += count
      if isEmpty { discard() }
      return true
    }

    mutating func discard() {
      bytes = []
      sent = 0
    }
  }

  init(client: Int32, responder: Int32) {
    self.client = client
    self.responder = responder
  }

  init(client: Int32, refusal: [UInt8]) {
    self.client = client
    responder = -1
    reply.bytes = refusal
  }

  /// What poll(2) is to wait for: first the client, then cofferd. It passes over negative descriptors.
  var waits: [pollfd] {
    let clientEvents = (request.isEmpty && !request.hasEnded ? POLLIN : 0) | (reply.isEmpty ? 0 : POLLOUT)
    let responderEvents = (reply.isEmpty && !reply.hasEnded ? POLLIN : 0) | (request.isEmpty ? 0 : POLLOUT)
    return [
      pollfd(fd: clientEvents == 0 ? -1 : client, events: Int16(clientEvents), revents: 0),
      pollfd(fd: responderEvents == 0 ? -1 : responder, events: Int16(responderEvents), revents: 0),
    ]
  }

  mutating func carry(_ clientReady: Int16, _ responderReady: Int16) {
    let gone = Int16(POLLHUP | POLLERR)
    if clientReady & (Int16(POLLIN) | gone) != 0, request.isEmpty, !request.hasEnded {
      request.read(from: client)
      if responder < 0 { request.discard() } else if request.hasEnded { shutdown(responder, Int32(SHUT_WR)) }
    }
    if responderReady & (Int16(POLLIN) | gone) != 0, reply.isEmpty, !reply.hasEnded { reply.read(from: responder) }
    // An early answer, as to a body that is too long: cofferd reads no more, but what it said still goes to the client.
    if responderReady & (Int16(POLLOUT) | gone) != 0, !request.isEmpty, !request.write(to: responder) { request.discard() }
    if clientReady & (Int16(POLLOUT) | gone) != 0, !reply.isEmpty, !reply.write(to: client) { isOver = true }
    let hasAll = reply.isEmpty && (responder < 0 ? request.hasEnded : reply.hasEnded)
    if hasAll { isOver = true }
  }

  func end() {
    close(client)
    if responder >= 0 { close(responder) }
  }
}
