import Glibc
import HTTPMessages
import Responder
import SecretMemory
import Synchronization
import TestSupport
import Testing

/// Counts what loops tell their handlers.
private final class TurnCounter: Sendable {
  let begun = Atomic(0)
  let ended = Atomic(0)
  /// Requests that were handled without having been announced.
  let unannounced = Atomic(0)
}

private final class TurnHandler: RequestHandler {
  private let echo = EchoHandler()
  private let counter: TurnCounter
  private var isAnnounced = false
  private var isInTurn = false
  init(_ counter: TurnCounter) { self.counter = counter }
  func requestBegins() {
    isAnnounced = true
    guard !isInTurn else { return }
    isInTurn = true
    counter.begun.add(1, ordering: .sequentiallyConsistent)
  }
  func turnEnds() {
    isInTurn = false
    counter.ended.add(1, ordering: .sequentiallyConsistent)
  }
  func handle(_ request: Request) -> Answer {
    if !isAnnounced { counter.unannounced.add(1, ordering: .sequentiallyConsistent) }
    isAnnounced = false
    // Long enough for what others send to wait together.
    if request.target.rawPath == "/slow" { usleep(50_000) }
    return echo.handle(request)
  }
  func refuse(_ refusal: RequestRefusal, requestID: String) -> Response { echo.refuse(refusal, requestID: requestID) }
  var abandoned: Response { echo.abandoned }
}

/// Mistakes that are easily made with this protocol and this library, each with the test that would show it.
@Suite(.serialized) struct PitfallTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/s" }

  private func start(_ counter: TurnCounter = TurnCounter()) throws -> Responder {
    try Responder(threads: 1, listeners: [Listener.bind(path, mode: 0o600)]) { TurnHandler(counter) }
  }

  /// A buffer that is used again must not show the answer before, also when the next one is shorter, empty or a refusal.
  @Test func noAnswerHoldsWhatTheOneBeforeHeld() throws {
    let responder = try start()
    defer { responder.stop() }
    let peer = try Peer(path)
    let canary = Array("canary-in-the-answer-before".utf8)
    for target in ["/size/0", "/size/10", "/short"] {
      #expect(try peer.send("/secret", body: canary).body.utf8.elementsEqual(canary))
      #expect(try !peer.send(target).body.contains("canary"))
    }
    #expect(try peer.send("/secret", body: canary).status == "200")
    #expect(try !peer.send("/short", body: [1, 2, 3], announced: "4").body.contains("canary"))
  }

  /// What is answered later must not point into the library's memory, which the next request on the thread reuses.
  @Test func lateAnswersKeepTheirOwnRequest() throws {
    let responder = try start()
    defer { responder.stop() }
    let peers = try (0..<16).map { _ in try Peer(path) }
    for round in 0..<20 {
      for (index, peer) in peers.enumerated() { try peer.write(Peer.request("/later", body: Array("body-\(round)-\(index)".utf8))) }
      for (index, peer) in peers.enumerated() { #expect(try peer.reply().body == "POST /later body-\(round)-\(index)") }
    }
  }

  /// A read transaction that stays open while the loop waits would keep the store's log from being emptied.
  @Test func everyTurnEndsBeforeTheLoopWaits() throws {
    let counter = TurnCounter()
    let responder = try start(counter)
    defer { responder.stop() }
    let peer = try Peer(path)
    for _ in 0..<50 {
      _ = try peer.send("/a")
      // The answer leaves within the turn: its end follows at once, without another request.
      for _ in 0..<1000 where counter.begun.load(ordering: .sequentiallyConsistent) != counter.ended.load(ordering: .sequentiallyConsistent)
      {
        usleep(100)
      }
      #expect(counter.begun.load(ordering: .sequentiallyConsistent) == counter.ended.load(ordering: .sequentiallyConsistent))
    }
    #expect(counter.begun.load(ordering: .sequentiallyConsistent) >= 50)
  }

  /// A request of a turn may have been sent because of an answer that left while the turn ran: what the turn has read by then is
  /// too old for it.
  @Test func eachRequestOfATurnIsAnnounced() throws {
    let counter = TurnCounter()
    let responder = try start(counter)
    defer { responder.stop() }
    let slow = try Peer(path)
    let peers = try (0..<16).map { _ in try Peer(path) }
    try slow.write(Peer.request("/slow", body: []))
    for peer in peers { try peer.write(Peer.request("/a", body: [])) }
    for peer in [slow] + peers { #expect(try peer.reply().status == "200") }
    responder.stop()
    #expect(counter.ended.load(ordering: .sequentiallyConsistent) <= peers.count, "no turn had two requests")
    #expect(counter.unannounced.load(ordering: .sequentiallyConsistent) == 0)
  }

  /// The descriptor was handed to the library: unless told otherwise, that closes it before it reads.
  @Test func aConnectionOutlivesItsRequests() throws {
    let responder = try start()
    defer { responder.stop() }
    let peer = try Peer(path)
    for number in 0..<200 { #expect(try peer.send("/a", body: Array("\(number)".utf8)).body == "POST /a \(number)") }
    #expect(responder.figures.connections == 1)
  }
}
