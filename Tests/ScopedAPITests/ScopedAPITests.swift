import HTTPMessages
import KeyRing
import Model
import SecretMemory
import Service
import StrictJSON
import TestSupport
import Testing

@testable import ScopedAPI

struct ScopedAPITests {
  @Test func everyRouteIsBelowTheAgentPrefixAndHasItsBudget() {
    for entry in ScopedRoute.table {
      #expect("\(entry.pattern)".hasPrefix("/agent/"))
      #expect(entry.route.namesScope == "\(entry.pattern)".contains("{scope}"))
    }
    #expect(ScopedRoute.table.filter { $0.route.rateClass == nil }.map { "\($0.pattern)" } == ["/agent/identity/limits", "/agent/enroll"])
  }

  private func body(_ text: [UInt8], type: String? = "application/json") throws -> Request {
    let target = try RequestTarget(parsing: Array("/agent/x".utf8), normalised: nil)
    var request = Request(method: .put, target: target, body: SecretBytes(copying: text), id: "test-request")
    request[.contentType] = type.map { Array($0.utf8) }
    return request
  }

  private func code(_ work: () throws -> Void) -> ErrorCode? {
    do {
      try work()
      return nil
    } catch let failure as ScopedFailure { return failure.refusal.code } catch { return .internalError }
  }

  /// The vectors of malformed envelopes against the route's own parser: what is accepted, and the code of what is not.
  @Test func malformedEnvelopes() throws {
    let cases = try Vectors.own("envelope/envelope_v1.json")["malformed_on_store"].list
    var counts: [String: Int] = [:]
    for item in cases {
      let object: JSONValue = ["sensitivity": "encrypted", "envelope": item["envelope"]]
      let found = code { _ = try Body(self.body(object.serialized())).content() }
      counts[item["expect"].text, default: 0] += 1
      switch item["expect"].text {
      case "accept": #expect(found == nil, "\(item["name"].text)")
      case "reject":
        #expect(
          [.invalidEnvelope, .invalidBase64, .invalidDataKey, .bodyTooLarge].contains(found),
          "\(item["name"].text): \(String(describing: found))")
      default: break
      }
    }
    #expect(counts == ["accept": 3, "reject": 74, "either": 2])
  }

  /// The vectors of JSON texts, those made for this project, against the route's own parser.
  @Test(arguments: [
    ("{\"a\":1,\"a\":2}", ErrorCode.invalidJSON), ("", .invalidJSON), ("[]", .validationFailed), ("{", .invalidJSON),
    ("null", .validationFailed),
    ("{\"secretName\":1}", .validationFailed), ("{\"tags\":[1]}", .validationFailed), ("{\"category\":\"A\"}", .validationFailed),
    ("{\"fields\":{}}", .validationFailed), ("{\"fields\":[{\"key\":\"-\"}]}", .validationFailed),
    ("{\"fields\":[{\"key\":\"a\",\"keep\":true},{\"key\":\"a\",\"keep\":true}]}", .duplicateField),
    ("{\"fields\":[{\"key\":\"a\",\"sensitivity\":\"plaintext\",\"value\":\"\",\"envelope\":{}}]}", .sensitivityMismatch),
    ("{\"fields\":[{\"key\":\"a\",\"sensitivity\":\"encrypted\",\"value\":\"x\"}]}", .sensitivityMismatch),
    ("{\"fields\":[{\"key\":\"a\",\"sensitivity\":\"encrypted\"}]}", .invalidEnvelope),
    ("{\"fields\":[{\"key\":\"a\",\"sensitivity\":\"secret\"}]}", .validationFailed),
  ])
  func refusedBodies(_ text: String, _ expected: ErrorCode) {
    #expect(code { _ = try Body(self.body(Array(text.utf8))).plan(for: "s", allowsDowngrade: false) } == expected)
  }

  /// The vectors of JSON texts against the route's own parser, those aside that are about the other dialect's members.
  @Test func textsOfJSON() throws {
    let others = [
      "escaped NUL in name", "value null", "value number", "value object", "log injection in name", "200000 distinct keys",
    ]
    var counts: [String: Int] = [:]
    for item in try Vectors.own("json/project_cases.json")["cases"].list where item["parts"].isNull && !others.contains(item["name"].text) {
      let text = item["b64"].isNull ? Array(item["text"].text.utf8) : try #require(WireText.decodeBase64(Array(item["b64"].text.utf8)))
      let found = code { _ = try Body(self.body(text)) }
      counts[item["expect"].text, default: 0] += 1
      switch item["expect"].text {
      case "accept": #expect(found == nil, "\(item["name"].text)")
      case "reject": #expect(found == .invalidJSON || found == .validationFailed, "\(item["name"].text)")
      default: break
      }
    }
    #expect(counts == ["accept": 21, "reject": 36, "either": 7])
  }

  @Test(arguments: [
    ("application/json", true), ("application/json; charset=utf-8", true), ("Application/JSON;charset=\"UTF-8\"", true),
    ("application/json; charset=latin1", false), ("text/json", false), ("application/jsonx", false), (nil, false),
  ])
  func mediaTypes(_ type: String?, _ isTaken: Bool) {
    #expect(code { _ = try Body(self.body(Array("{}".utf8), type: type)) } == (isTaken ? nil : .unsupportedMediaType))
  }

  @Test func bodiesMustNotContradictThePath() throws {
    let body = try Body(self.body(Array(#"{"scope":"team","secretId":1}"#.utf8)))
    #expect(code { try body.agree(with: [("scope", "team"), ("fieldKey", "f")]) } == nil)
    #expect(code { try body.agree(with: [("scope", "org")]) } == .pathBodyMismatch)
    #expect(code { try body.agree(with: [("secretId", "1")]) } == .pathBodyMismatch)
  }

  @Test(arguments: [
    ("a=1&a=2", "a", ErrorCode.validationFailed), ("a=%zz", "a", .validationFailed), ("a=%ff", "a", .validationFailed), ("b=1", "a", nil),
  ])
  func queries(_ raw: String, _ name: String, _ expected: ErrorCode?) {
    #expect(code { _ = try Query(raw).one(name) } == expected)
  }

  @Test func queriesDecodeOnce() throws {
    #expect(try Query("q=a%2Bb+c%2525").one("q") == "a+b c%25")
    #expect(try Query("tag=a&tag=b").list("tag") == ["a", "b"])
  }
}
