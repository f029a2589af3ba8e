import HTTPMessages
import Store
import Testing

@testable import AdminAPI

struct MetricsTextTests {
  @Test(
    arguments: [
      (0, "0"), (1, "0.000001"), (500, "0.0005"), (2500, "0.0025"), (1_000_000, "1"), (1_500_000, "1.5"), (10_000_000, "10"),
      (123_000_456, "123.000456"),
    ] as [(UInt64, String)])
  func seconds(_ microseconds: UInt64, _ text: String) { #expect(MetricsText.seconds(microseconds: microseconds) == text) }

  /// Buckets become cumulative, and the last one is everything.
  @Test func requests() {
    var text = MetricsText()
    text.append(
      RequestFigures(
        counts: [
          .init(pattern: "/a/{name}", method: "GET", status: 200, count: 7), .init(pattern: "other", method: "OTHER", status: 0, count: 1),
        ],
        durations: [
          .init(pattern: "/a/{name}", buckets: [4, 0, 2] + [UInt64](repeating: 0, count: 11) + [1], sumMicroseconds: 12_345)
        ]))
    let lines = String(decoding: text.bytes, as: UTF8.self).split(separator: "\n")
    #expect(lines.contains("# TYPE coffer_http_requests_total counter"))
    #expect(lines.contains(#"coffer_http_requests_total{route="/a/{name}",method="GET",status="200"} 7"#))
    #expect(lines.contains(#"coffer_http_requests_total{route="other",method="OTHER",status="other"} 1"#))
    let histogram = lines.filter { $0.hasPrefix("coffer_http_request_duration_seconds") }
    #expect(histogram.first == #"coffer_http_request_duration_seconds_bucket{route="/a/{name}",le="0.0005"} 4"#)
    #expect(histogram.dropFirst(2).first == #"coffer_http_request_duration_seconds_bucket{route="/a/{name}",le="0.0025"} 6"#)
    #expect(
      Array(histogram.suffix(4)) == [
        #"coffer_http_request_duration_seconds_bucket{route="/a/{name}",le="10"} 6"#,
        #"coffer_http_request_duration_seconds_bucket{route="/a/{name}",le="+Inf"} 7"#,
        #"coffer_http_request_duration_seconds_sum{route="/a/{name}"} 0.012345"#,
        #"coffer_http_request_duration_seconds_count{route="/a/{name}"} 7"#,
      ])
  }

  @Test func labelsAreEscaped() {
    var text = MetricsText()
    text.sample("a", [("b", "\"\\\n")], "1")
    #expect(text.bytes == Array("a{b=\"\\\"\\\\\\n\"} 1\n".utf8))
  }
}

struct KeyFiguresMemoryTests {
  @Test func oneWalkAMinute() {
    let memory = KeyFiguresMemory()
    #expect(memory.mustTake(at: 1000))
    #expect(!memory.mustTake(at: 1000), "one walk at a time")
    memory.keep(.init(oldestKEK: 1, newestKEK: 2, expiringKeys: 3), at: 1000)
    let rows: [(Int64, Bool)] = [(1000, false), (60_999, false), (61_000, true), (999, false)]
    for (now, expected) in rows { #expect(memory.mustTake(at: now) == expected, "at \(now)") }
  }

  @Test func aFailureIsTriedAgainAndAClockSetBackIsNoExcuse() {
    let memory = KeyFiguresMemory()
    #expect(memory.mustTake(at: 5))
    memory.keep(nil, at: 5)
    #expect(memory.mustTake(at: 5))
    memory.keep(.init(oldestKEK: 1, newestKEK: 2, expiringKeys: 3), at: 5)
    #expect(memory.mustTake(at: 4))
  }
}
