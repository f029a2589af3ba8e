import Glibc
import HTTPMessages
import Responder
import SecretMemory
import Synchronization
import TestSupport
import Testing

/// Answers with the method, the path and the body; `/later` from another thread, `/dropped` never, `/size/N` with N bytes.
final class EchoHandler: RequestHandler {
  func requestBegins() {}
  func turnEnds() {}
  func refuse(_ refusal: RequestRefusal, requestID: String) -> Response {
    Response(status: Status(400), body: .bytes(Array("\(refusal)".utf8)))
  }
  var abandoned: Response { Response(status: Status(503), body: .bytes(Array("abandoned".utf8))) }

  func handle(_ request: Request) -> Answer {
    let path = request.target.rawPath
    let body = request.body.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } }
    let answer = Response(status: Status(200), body: .bytes(Array("\(request.method.rawValue) \(path) ".utf8) + body))
    switch path {
    case "/later": return .later { send in Thread.run { send(answer) } }
    case "/dropped": return .later { _ in }
    case "/secret": return .now(Response(status: Status(200), body: .secret(request.body)))
    case let path where path.hasPrefix("/size/"):
      return .now(Response(status: Status(200), body: .bytes([UInt8](repeating: 0x78, count: Int(path.dropFirst(6)) ?? 0))))
    default: return .now(answer)
    }
  }
}

enum Thread {
  static func run(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let boxed = unsafe Unmanaged.passRetained(Box(body)).toOpaque()
    unsafe pthread_create(
      &thread, nil,
      { box in
        if let box = unsafe box { unsafe Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body() }
        return nil
      }, boxed)
    pthread_detach(thread)
  }

  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

@Suite(.serialized) struct ResponderTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/s" }

  private func start(threads: Int = 2) throws -> Responder {
    try Responder(threads: threads, listeners: [Listener.bind(path, mode: 0o600)]) { EchoHandler() }
  }

  /// The operator moves folders; what comes through nginx is shorter.
  @Test func theControlSocketTakesLongBodies() throws {
    let control = directory.path + "/c"
    let responder = try Responder(threads: 1, listeners: [Listener.bind(path, mode: 0o600), Listener.bindControl(control)]) {
      EchoHandler()
    }
    defer { responder.stop() }
    #expect(try Peer(path).send("/echo", body: [UInt8](repeating: 0x78, count: (1 << 20) + 1)).body == "bodyTooLarge")
    let body = [UInt8](repeating: 0x78, count: 5 << 20)
    let reply = try Peer(control).send("/echo", body: body)
    #expect(reply.status == "200" && reply.body.utf8.count == body.count + "POST /echo ".utf8.count)
  }

  @Test func answersManyRequestsOnOneConnection() throws {
    let responder = try start()
    defer { responder.stop() }
    let peer = try Peer(path)
    for (target, body) in [("/a", "x"), ("/later", "y"), ("/dropped", "z"), ("/b", "")] {
      let reply = try peer.send(target, body: Array(body.utf8))
      #expect(reply.body == (target == "/dropped" ? "abandoned" : "POST \(target) \(body)"))
      #expect(reply.status == (target == "/dropped" ? "503" : "200"))
    }
  }

  @Test(arguments: [0, 1, 65_527, 65_528, 65_529, 200_000, 1_000_000]) func answersOfEverySize(_ size: Int) throws {
    let responder = try start()
    defer { responder.stop() }
    #expect(try Peer(path).send("/size/\(size)").body.utf8.count == size)
  }

  @Test(arguments: [0, 1, 32_767, 65_535, 70_000, 300_000, 1_048_576]) func bodiesOfEverySize(_ size: Int) throws {
    let responder = try start()
    defer { responder.stop() }
    let body = [UInt8](repeating: 0x79, count: size)
    let peer = try Peer(path)
    #expect(try peer.send("/secret", body: body).body.utf8.count == size)
    // Nothing of it is left for the next one.
    #expect(try peer.send("/secret", body: []).body.isEmpty)
  }

  @Test func aRequestMaySplitAnywhere() throws {
    let responder = try start()
    defer { responder.stop() }
    let bytes = Peer.request("/a", body: Array("0123456789".utf8))
    for split in stride(from: 1, to: bytes.count, by: 3) {
      let peer = try Peer(path)
      try peer.write(Array(bytes[..<split]))
      usleep(2_000)
      try peer.write(Array(bytes[split...]))
      #expect(try peer.reply().body == "POST /a 0123456789")
    }
  }

  /// A body cut off at any byte, its connection closed, is never handed over as if it were whole.
  @Test func aCutRequestIsNeverHandedOver() throws {
    let responder = try start()
    defer { responder.stop() }
    let bytes = Peer.request("/a", body: [UInt8](repeating: 0x7A, count: 300))
    for end in 1..<bytes.count {
      let peer = try Peer(path)
      try peer.write(Array(bytes[..<end]))
      peer.finish()
      #expect(try peer.readAll().isEmpty)
    }
    #expect(responder.figures.requests == 0)
  }

  @Test func aBodyShorterThanAnnouncedIsRefused() throws {
    let responder = try start()
    defer { responder.stop() }
    for announced in ["4", "6", "-1", "99999999999999999999", "x"] {
      let reply = try Peer(path).send("/a", body: Array("12345".utf8), announced: announced)
      #expect(reply.status == "400")
    }
  }

  @Test func strangeRecordsEndTheConnection() throws {
    let responder = try start()
    defer { responder.stop() }
    let begin: [UInt8] = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    var cases: [[UInt8]] = [
      [1, 9, 0, 0, 0, 0, 0, 0], [2] + begin.dropFirst(), [1, 4, 0, 1, 0, 0, 0, 0], begin + begin, begin + [1, 2, 0, 1, 0, 0, 0, 0],
      begin + [1, 4, 0, 2, 0, 0, 0, 0], begin + [1, 77, 0, 1, 0, 0, 0, 0], Array("GET / HTTP/1.1\r\n\r\n".utf8),
    ]
    var authorizer = begin
    authorizer[9] = 2
    cases.append(authorizer)
    for bytes in cases {
      let peer = try Peer(path)
      try peer.write(bytes)
      #expect(try peer.readAll().isEmpty)
    }
    #expect(try Peer(path).send("/a").status == "200")
    #expect(responder.figures.refusedRecords == UInt64(cases.count))
  }

  @Test func silentAndHalfSentPeersHoldNobodyUp() throws {
    let responder = try start()
    defer { responder.stop() }
    let half = Array(Peer.request("/a", body: [1, 2, 3]).dropLast(5))
    let peers = try (0..<100).map { index in
      let peer = try Peer(path)
      if index % 2 == 0 { try peer.write(half) }
      return peer
    }
    for _ in 0..<200 { #expect(try Peer(path).send("/a").status == "200") }
    withExtendedLifetime(peers) {}
  }

  @Test func clientsThatLeaveWhileAnAnswerIsDueHarmNobody() throws {
    let responder = try start()
    defer { responder.stop() }
    for _ in 0..<200 {
      let peer = try Peer(path)
      try peer.write(Peer.request("/later", body: []))
      peer.close()
    }
    #expect(try Peer(path).send("/a").status == "200")
  }

  @Test func aSuccessorTakesOverWithoutAFailedRequest() throws {
    var responder = try start()
    let failures = Atomic(0)
    let running = Atomic(true)
    let served = Atomic(0)
    let path = path
    for _ in 0..<4 {
      Thread.run {
        while running.load(ordering: .relaxed) {
          if (try? Peer(path).send("/a").status) == "200" {
            served.add(1, ordering: .relaxed)
          } else {
            failures.add(1, ordering: .relaxed)
          }
        }
        served.add(1_000_000, ordering: .relaxed)
      }
    }
    for _ in 0..<5 {
      usleep(50_000)
      let next = try start()
      responder.drain(limit: 5)
      responder = next
    }
    running.store(false, ordering: .relaxed)
    while served.load(ordering: .relaxed) < 4_000_000 { usleep(1_000) }
    responder.stop()
    #expect(failures.load(ordering: .relaxed) == 0)
    #expect(served.load(ordering: .relaxed) > 4_000_100)
  }

  @Test func anInheritedSocketIsServed() throws {
    let listener = try Listener.bind(path, mode: 0o600)
    let inherited = try #require(Listener.inherited(listener.descriptor))
    let responder = try Responder(threads: 1, listeners: [inherited]) { EchoHandler() }
    defer { responder.stop() }
    #expect(try Peer(path).send("/a").status == "200")
    #expect(Listener.inherited(0) == nil || isatty(0) == 0)
  }

  @Test func aPathThatIsTooLongIsRefused() {
    let long = directory.path + "/" + String(repeating: "x", count: 120)
    #expect(throws: ResponderError.pathTooLong(long)) { try Listener.bind(long, mode: 0o600) }
  }
}
