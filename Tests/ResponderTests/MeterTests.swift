import Glibc
import HTTPMessages
import SecretMemory
import TestSupport
import Testing
internal import Threads

@testable import Responder

/// Marks `/one` with the first pattern and `/slow`, answered from another thread, with the second.
private final class MarkingHandler: RequestHandler {
  private(set) var lastMark = RequestMark()

  func requestBegins() {}
  func turnEnds() {}
  func refuse(_ refusal: RequestRefusal, requestID: String) -> Response { Response(status: Status(400)) }
  var abandoned: Response { Response(status: Status(503)) }

  func handle(_ request: Request) -> Answer {
    switch request.target.rawPath {
    case "/one":
      lastMark = RequestMark(pattern: 1, tenant: "t", keyID: "k")
      return .now(Response(status: Status(200)))
    case "/slow":
      lastMark = RequestMark(pattern: 2)
      return .later { send in
        Thread.run {
          usleep(30_000)
          send(Response(status: Status(503)))
        }
      }
    default:
      lastMark = RequestMark()
      return .now(Response(status: Status(599)))
    }
  }
}

private final class Witness: ReplyObserver {
  private let replies = Locked<[Reply]>([])
  func wants(status: Int) -> Bool { status != 599 }
  func replied(_ reply: Reply) { replies.withLock { $0.append(reply) } }
  var seen: [Reply] { replies.withLock { $0 } }
}

@Suite(.serialized) struct MeterTests {
  private let directory = TemporaryDirectory()

  @Test func everyReplyIsCountedTimedAndShown() throws {
    let meter = Meter(patterns: ["/one", "/slow"])
    let witness = Witness()
    let path = directory.path + "/s"
    let responder = try Responder(threads: 2, listeners: [Listener.bind(path, mode: 0o600)], meter: meter, observer: witness) {
      MarkingHandler()
    }
    defer { responder.stop() }
    for _ in 0..<3 {
      let peer = try Peer(path)
      for target in ["/one", "/slow", "/other"] { _ = try peer.send(target) }
    }
    _ = try Peer(path).send("/one", announced: "7x")
    let figures = meter.requests
    #expect(
      figures.counts == [
        .init(pattern: "other", method: "POST", status: 0, count: 3), .init(pattern: "other", method: "OTHER", status: 400, count: 1),
        .init(pattern: "/one", method: "POST", status: 200, count: 3), .init(pattern: "/slow", method: "POST", status: 503, count: 3),
      ])
    let slow = try #require(figures.durations.last)
    #expect(slow.pattern == "/slow")
    #expect(slow.buckets.reduce(0, +) == 3)
    #expect(zip(RequestFigures.bounds, slow.buckets).allSatisfy { $0 > 25_000 || $1 == 0 }, "30 ms lie in no bucket below 50")
    #expect(slow.sumMicroseconds >= 90_000)
    #expect(witness.seen.count == 7)
    let one = try #require(witness.seen.first)
    #expect(one.mark == RequestMark(pattern: 1, tenant: "t", keyID: "k"))
    #expect(one.status == 200)
  }

  @Test func connectionsThatEndedAreNotOpen() throws {
    let path = directory.path + "/s"
    let responder = try Responder(threads: 1, listeners: [Listener.bind(path, mode: 0o600)]) { MarkingHandler() }
    defer { responder.stop() }
    for _ in 0..<5 {
      let peer = try Peer(path)
      _ = try peer.send("/one")
      peer.close()
    }
    for _ in 0..<2000 where responder.figures.endedConnections < 5 { usleep(1000) }
    #expect(responder.figures.connections == 5)
    #expect(responder.figures.endedConnections == 5)
  }

  /// Each border belongs to the bucket below it; a pattern that does not exist counts as the first.
  @Test(arguments: [(0, 0), (500, 0), (501, 1), (1000, 1), (10_000_000, 13), (10_000_001, 14), (UInt64.max / 2, 14)] as [(UInt64, Int)])
  func buckets(_ microseconds: UInt64, _ bucket: Int) {
    let meter = Meter()
    let block = meter.makeBlock()
    block.note(pattern: 7, method: .get, status: -1, microseconds: microseconds)
    let durations = meter.requests.durations
    #expect(durations.first?.buckets.firstIndex(of: 1) == bucket)
    #expect(meter.requests.counts == [.init(pattern: "other", method: "GET", status: 0, count: 1)])
  }

  @Test func blocksOfAllLoopsAreAddedUpWithoutLoss() {
    let meter = Meter(patterns: ["/a"])
    let done = Locked(0)
    for _ in 0..<4 {
      let block = meter.makeBlock()
      for _ in 0..<2 {
        Thread.run {
          for _ in 0..<10_000 { block.note(pattern: 1, method: .put, status: 200, microseconds: 1) }
          done.withLock { $0 += 1 }
        }
      }
    }
    for _ in 0..<10_000 where done.withLock({ $0 }) < 8 { usleep(1000) }
    #expect(meter.requests.counts == [.init(pattern: "/a", method: "PUT", status: 200, count: 80_000)])
    #expect(meter.requests.durations.first?.sumMicroseconds == 80_000)
  }
}
