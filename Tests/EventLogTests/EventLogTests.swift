import Configuration
import Glibc
import StrictJSON
import Testing

@testable import EventLog

private func event(
  _ status: Int = 200, id: String = "request-1", method: String = "GET", route: String = "/api/settings", tenant: String = "ten_a",
  key: String = "key_b", microseconds: UInt64 = 412
) -> RequestEvent {
  RequestEvent(requestID: id, method: method, route: route, status: status, microseconds: microseconds, tenant: tenant, keyID: key)
}

/// A pipe whose ends close with it.
private final class Pipe {
  let reader: Int32
  let writer: Int32

  init() {
    var ends: [Int32] = [0, 0]
    unsafe pipe(&ends)
    reader = ends[0]
    writer = ends[1]
    _ = fcntl(reader, F_SETFL, O_NONBLOCK)
  }

  deinit {
    close(reader)
    close(writer)
  }

  /// What has arrived once it is `count` lines, or nothing came for two seconds.
  func lines(_ count: Int) -> [String] {
    var bytes: [UInt8] = []
    var found = 0
    var chunk = [UInt8](repeating: 0, count: 65536)
    var silent = 0
    while found < count, silent < 2000 {
      let read = unsafe Glibc.read(reader, &chunk, chunk.count)
      if read > 0 {
        bytes += chunk.prefix(read)
        found += chunk.prefix(read).count { $0 == 0x0A }
        silent = 0
      } else {
        usleep(1000)
        silent += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  func fill() {
    let flags = fcntl(writer, F_GETFL)
    _ = fcntl(writer, F_SETFL, flags | O_NONBLOCK)
    let chunk = [UInt8](repeating: 0x2E, count: 4096)
    while unsafe write(writer, chunk, chunk.count) > 0 {}
    _ = fcntl(writer, F_SETFL, flags)
  }
}

struct LineTests {
  private static let odd = [
    "line\nbreak", "\r\n{\"level\":\"error\"}", "\u{1B}[2J\u{1B}[31mred", "\u{7}\u{0}\u{7F}", "\u{9B}31m", "\u{202E}right to left",
    "\"quoted\"\\", "é☃🔑", "caf\u{65}\u{301}", "\u{2028}\u{85}", String(repeating: "x", count: 1 << 16),
  ]

  /// T92: whatever a field holds, the line is one line of visible ASCII, and the JSON form gives the text back.
  @Test(arguments: odd) func everyLineIsOneLineOfASCII(_ text: String) throws {
    let request = event(id: text, method: text, route: text, tenant: text, key: text)
    for event in [Event.request(request), .requestFailed(request), .keyRefused(request), .startRefused(text), .storeFailed(text)] {
      for line in [Log.json(event, at: 0), Log.text(event)] {
        #expect(line.last == 0x0A)
        #expect(line.dropLast().allSatisfy { (0x20..<0x7F).contains($0) })
      }
    }
    let limits = JSONLimits(bytes: 64 << 20, depth: 2, members: 20)
    let object = try #require(try JSONValue.parse(Array(Log.json(.request(request), at: 0).dropLast()), limits: limits).object)
    for name in ["requestId", "method", "route", "tenant", "key"] as [JSONString] { #expect(object[name]?.string == JSONString(text)) }
  }

  @Test func theFormsOfALine() {
    #expect(
      String(decoding: Log.json(.request(event()), at: 1_800_000_000_123), as: UTF8.self)
        == #"{"at":"2027-01-15T08:00:00.123Z","level":"info","message":"request","requestId":"request-1","method":"GET","#
        + #""route":"/api/settings","status":200,"milliseconds":0.412,"tenant":"ten_a","key":"key_b"}"# + "\n")
    #expect(
      String(decoding: Log.text(.keyRefused(event(401, tenant: "", key: "", microseconds: 12_005))), as: UTF8.self)
        == #"warning: key refused requestId="request-1" method="GET" route="/api/settings" status=401 milliseconds=12.005"# + "\n")
    #expect(String(decoding: Log.text(.draining), as: UTF8.self) == "info: finishing what was begun\n")
  }

  @Test(arguments: [
    (Configuration.LogLevel.error, ["request failed"]), (.warning, ["request failed", "key refused"]),
    (.info, ["request failed", "key refused", "request"]),
  ]) func levels(_ level: Configuration.LogLevel, _ messages: [String]) {
    let pipe = Pipe()
    let log = Log(format: .json, level: level, descriptor: pipe.writer, now: { 0 })
    for event in [Event.requestFailed(event(503)), .keyRefused(event(403)), .request(event())] { log.write(event) }
    let lines = pipe.lines(messages.count)
    #expect(lines.count == messages.count)
    for (line, message) in zip(lines, messages) { #expect(line.contains("\"message\":\"\(message)\"")) }
  }

  /// A pipe is no terminal: without a choice its lines are JSON.
  @Test(arguments: [(Configuration.LogFormat.auto, "{"), (.json, "{"), (.text, "i")] as [(Configuration.LogFormat, Character)])
  func formats(_ format: Configuration.LogFormat, _ first: Character) {
    let pipe = Pipe()
    Log(format: format, level: .info, descriptor: pipe.writer, now: { 0 }).write(.draining)
    #expect(pipe.lines(1).first?.first == first)
  }
}

struct BudgetTests {
  @Test func aSecondHoldsSoManyAndNoMore() {
    var budget = LogBudget(perSecond: 3)
    let admitted = [1, 1, 1, 1, 1, 2, 2, 1].map { budget.admits(in: $0) }
    #expect(admitted == [true, true, true, false, false, true, true, true])
  }
}

@Suite(.serialized) struct QueuedLogTests {
  /// Which statuses make a line of their own, and which do when every request is to have one.
  @Test(
    arguments: [
      (200, nil, "request"), (304, nil, "request"), (404, nil, "request"), (422, nil, "request"), (401, "key refused", "key refused"),
      (403, "key refused", "key refused"), (500, "request failed", "request failed"), (501, nil, "request"),
      (503, "request failed", "request failed"), (507, "request failed", "request failed"),
    ] as [(Int, String?, String)])
  func statuses(_ status: Int, _ message: String?, _ messageForAll: String) throws {
    for (logsAll, expected) in [(false, message), (true, messageForAll)] {
      let pipe = Pipe()
      let log = QueuedLog(Log(format: .json, level: .info, descriptor: pipe.writer, now: { 0 }), logsAll: logsAll)
      #expect(log.concerns(status: status) == (expected != nil))
      if log.concerns(status: status) { log.note(event(status)) }
      #expect(log.close(within: 60_000))
      #expect(pipe.lines(expected == nil ? 0 : 1).map { $0.contains("\"\(expected ?? "")\"") } == (expected == nil ? [] : [true]))
    }
  }

  @Test func aFloodIsCountedAndNotWritten() {
    let pipe = Pipe()
    let log = QueuedLog(Log(format: .json, level: .info, descriptor: pipe.writer, now: { 5000 }), logsAll: false)
    for _ in 0..<100_000 { log.note(event(401)) }
    #expect(log.close(within: 60_000))
    let lines = pipe.lines(QueuedLog.linesPerSecond + 1)
    #expect(lines.count(where: { $0.contains("key refused") }) == QueuedLog.linesPerSecond)
    let counts = lines.filter { $0.contains("log lines left out") }
    // The thread may have reported once on the way.
    #expect((1...2).contains(counts.count))
    #expect(log.leftOut == UInt64(100_000 - QueuedLog.linesPerSecond))
  }

  /// A flood of refused keys is the way to hide an alert, if there is one.
  @Test func alertsHaveABudgetOfTheirOwn() {
    let pipe = Pipe()
    let log = QueuedLog(Log(format: .json, level: .error, descriptor: pipe.writer, now: { 5000 }), logsAll: false)
    for _ in 0..<1000 { log.note(event(500)) }
    let alert = CanaryEvent(
      tenant: "ten_a", secret: "secrets/N", fieldKey: "", action: "secret.read", actor: "key", actorID: "", keyID: "key_b", address: "::1",
      requestID: "r")
    for _ in 0..<20 { log.note(alert) }
    #expect(log.close(within: 60_000))
    let lines = pipe.lines(2 * QueuedLog.linesPerSecond)
    #expect(lines.count(where: { $0.contains("request failed") }) == QueuedLog.linesPerSecond)
    let alerts = lines.filter { $0.contains("canary secret read") }
    #expect(alerts.count == QueuedLog.linesPerSecond)
    let members =
      #""tenant":"ten_a","secret":"secrets/N","action":"secret.read","actor":"key","key":"key_b","address":"::1","requestId":"r"}"#
    #expect(alerts.allSatisfy { $0.hasSuffix(members) && $0.contains(#""level":"error""#) })
    #expect(log.leftOut == 990 + 10)
  }

  /// Nobody reads the log: whoever serves requests must not notice.
  @Test func aReaderThatSleepsStopsNobody() {
    let pipe = Pipe()
    pipe.fill()
    let log = QueuedLog(Log(format: .json, level: .info, descriptor: pipe.writer, now: { 0 }), logsAll: true)
    for _ in 0..<(3 * QueuedLog.queueLimit) { log.note(event()) }
    #expect(log.leftOut >= UInt64(QueuedLog.queueLimit))
    #expect(log.close(within: 50) == false)
    // Read after all, the writing thread comes to its end. Until then the descriptor is its.
    _ = pipe.lines(3 * QueuedLog.queueLimit - Int(log.leftOut))
    #expect(log.close(within: 60_000))
  }
}
