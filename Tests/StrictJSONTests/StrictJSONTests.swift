import StrictJSON
import TestSupport
import Testing

private func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue.parse(Array(text.utf8), limits: .settings) }

@Suite struct JSONParserTests {
  struct Refusal: Sendable, CustomTestStringConvertible {
    let text: [UInt8]
    let reason: JSONError.Reason
    let offset: Int
    init(_ text: String, _ reason: JSONError.Reason, at offset: Int) { self.init(Array(text.utf8), reason, at: offset) }
    init(_ text: [UInt8], _ reason: JSONError.Reason, at offset: Int) {
      self.text = text
      self.reason = reason
      self.offset = offset
    }
    var testDescription: String { "\(reason) at \(offset) in \(String(decoding: text, as: UTF8.self))" }
  }

  @Test(arguments: [
    Refusal("", .empty, at: 0), Refusal("  \n", .empty, at: 3), Refusal("[1,]", .syntax, at: 3), Refusal("{\"a\":1,}", .syntax, at: 7),
    Refusal("{\"a\" 1}", .syntax, at: 5), Refusal("[1 2]", .syntax, at: 3), Refusal("01", .syntax, at: 1), Refusal("-", .syntax, at: 1),
    Refusal("1.", .syntax, at: 2), Refusal("1e", .syntax, at: 2), Refusal(".5", .syntax, at: 0), Refusal("+1", .syntax, at: 0),
    Refusal("NaN", .syntax, at: 0), Refusal("Infinity", .syntax, at: 0), Refusal("nul", .syntax, at: 0), Refusal("True", .syntax, at: 0),
    Refusal("'a'", .syntax, at: 0), Refusal("\"a", .syntax, at: 2), Refusal("\"\\x\"", .syntax, at: 2), Refusal("\"\n\"", .syntax, at: 1),
    Refusal("\"\\u12G4\"", .syntax, at: 5), Refusal("1 1", .trailingText, at: 2), Refusal("{}x", .trailingText, at: 2),
    Refusal("\"\\ud800\"", .loneSurrogate, at: 1), Refusal("\"\\udc00\"", .loneSurrogate, at: 1),
    Refusal("\"\\ud800\\u0041\"", .loneSurrogate, at: 1), Refusal("{\"a\":1,\"a\":2}", .duplicateName, at: 7),
    Refusal("{\"a\":1,\"\\u0061\":2}", .duplicateName, at: 7), Refusal([0xEF, 0xBB, 0xBF, 0x31], .syntax, at: 0),
    Refusal([0xFF, 0xFE, 0x31, 0x00], .syntax, at: 0), Refusal([0x22, 0xC0, 0x80, 0x22], .encoding, at: 1),
    Refusal([0x22, 0xED, 0xA0, 0x80, 0x22], .encoding, at: 1), Refusal([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], .encoding, at: 1),
    Refusal([0x22, 0xE2, 0x82], .encoding, at: 1), Refusal("[1]//", .trailingText, at: 3),
  ])
  func refuses(_ refusal: Refusal) {
    #expect(throws: JSONError(refusal.reason, at: refusal.offset)) { try JSONValue.parse(refusal.text, limits: .settings) }
  }

  @Test(arguments: [
    ("1.0", "1.0"), ("-0", "-0"), ("1E+2", "1E+2"), ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("1e400", "1e400"), (" [ 1 , \"a\" ] ", "[1,\"a\"]"), ("\"\\u00e9\\/\\u0000\"", "\"é/\\u0000\""), ("\"\\ud83d\\udd11\"", "\"🔑\""),
    ("{\"b\":1,\"a\":{}}", "{\"b\":1,\"a\":{}}"), ("\"\\b\\f\\n\\r\\t\\\"\\\\\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\""),
  ])
  func keepsNumbersAndOrder(_ source: String, _ written: String) throws {
    #expect(String(decoding: try parse(source).serialized(), as: UTF8.self) == written)
  }

  @Test func comparesByBytesNotByUnicodeEquivalence() throws {
    let object = try parse("{\"caf\u{e9}\":1,\"cafe\u{301}\":2}").object
    #expect(object?.count == 2)
    #expect(object?["caf\u{e9}"] == 1)
    #expect(object?["cafe\u{301}"] == 2)
  }

  @Test func limitsHoldAtTheirBorders() throws {
    let limits = JSONLimits(bytes: 9, depth: 2, members: 3)
    func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue.parse(Array(text.utf8), limits: limits) }
    #expect(throws: Never.self) { try parse("[[1,2]]  ") }
    #expect(throws: JSONError(.tooDeep, at: 2)) { try parse("[[[1]]]") }
    #expect(throws: JSONError(.tooManyMembers, at: 7)) { try parse("[1,2,3,4]") }
    #expect(throws: JSONError(.tooLarge, at: 9)) { try parse("[1,2,3]   ") }
  }

  @Test func manyNamesCostNoQuadraticTime() throws {
    let members = (0..<9_999).map { "\"name\($0)\":\($0)" }.joined(separator: ",")
    let object = try parse("{" + members + "}").object
    #expect(object?.count == 9_999)
    #expect(object?["name9998"] == 9_998)
    #expect(throws: JSONError.self) { try parse("{" + members + ",\"name0\":1}") }
  }

  @Test func objectsSetReplaceAndRemove() {
    var object = JSONObject()
    for number in 0..<40 { object[JSONString("n\(number)")] = .number(JSONNumber(number)) }
    object["n7"] = "seven"
    object["n3"] = nil
    object["n39"] = nil
    #expect(object.count == 38)
    #expect(object["n7"] == "seven")
    #expect(object["n3"] == nil)
    #expect(object["n38"] == 38)
    #expect(object.members[3].name == "n4")
  }
}

@Suite struct JSONVectorTests {
  @Test func everyCaseOfTheTestSuite() throws {
    guard let file = try Vectors.shared("json/jsontestsuite_parsing.json", cases: 318) else { return }
    var run = 0
    for item in file["cases"].list {
      guard let text = item.body else { continue }
      run += 1
      let parsed = try? JSONValue.parse(text, limits: .settings)
      switch item["expect"].text {
      case "accept":
        // Repeated names are ours to refuse.
        let isDuplicate = item["name"].text.contains("duplicated")
        #expect((parsed != nil) != isDuplicate, "\(item["name"].text)")
      case "reject": #expect(parsed == nil, "\(item["name"].text)")
      default: break
      }
      if let parsed { #expect(try JSONValue.parse(parsed.serialized(), limits: .settings) == parsed, "\(item["name"].text)") }
    }
    #expect(run == 318)
  }

  @Test func everyCaseThatParsersChange() throws {
    guard let file = try Vectors.shared("json/jsontestsuite_transform.json", cases: 22) else { return }
    var run = 0
    for item in file["cases"].list {
      guard let text = item.body else { continue }
      run += 1
      guard let parsed = try? JSONValue.parse(text, limits: .settings) else { continue }
      #expect(try JSONValue.parse(parsed.serialized(), limits: .settings) == parsed)
    }
    #expect(run == 22)
  }

  @Test func randomDocumentsSurvive() throws {
    for seed in UInt64(1)...200 {
      var generator = SeededGenerator(seed: seed)
      let value = Self.value(&generator, depth: 0)
      #expect(try JSONValue.parse(value.serialized(), limits: .settings) == value, "seed \(seed)")
    }
  }

  /// A text that is changed at random is parsed or refused, and what is parsed writes back to the same value.
  @Test func changedTextsNeverTrap() throws {
    for seed in UInt64(1)...3_000 {
      var generator = SeededGenerator(seed: seed)
      var text = Self.value(&generator, depth: 0).serialized()
      for _ in 0..<Int.random(in: 1...4, using: &generator) where !text.isEmpty {
        let place = Int.random(in: 0..<text.count, using: &generator)
        if Bool.random(using: &generator) { text.remove(at: place) } else { text[place] = UInt8.random(in: 0...255, using: &generator) }
      }
      guard let parsed = try? JSONValue.parse(text, limits: .settings) else { continue }
      #expect(try JSONValue.parse(parsed.serialized(), limits: .settings) == parsed, "seed \(seed)")
    }
  }

  private static func value(_ generator: inout SeededGenerator, depth: Int) -> JSONValue {
    switch Int.random(in: 0...(depth > 4 ? 4 : 6), using: &generator) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &generator))
    case 2: return .number(JSONNumber(Int64.random(in: .min ... .max, using: &generator)))
    case 3, 4: return .string(string(&generator))
    case 5: return .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in value(&generator, depth: depth + 1) })
    default:
      var object = JSONObject()
      for _ in 0..<Int.random(in: 0...20, using: &generator) { object[string(&generator)] = value(&generator, depth: depth + 1) }
      return .object(object)
    }
  }

  private static func string(_ generator: inout SeededGenerator) -> JSONString {
    let scalars = (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ in
      Unicode.Scalar(UInt32.random(in: 0...0x2FFFF, using: &generator))
    }
    return JSONString(String(String.UnicodeScalarView(scalars)))
  }
}

extension JSONValue {
  /// The bytes of a case: `b64`, or a repeated unit with a tail.
  fileprivate var body: [UInt8]? {
    if let text = self["b64"].string { return base64(text.text) }
    let unit = self["repeat"]
    if unit.isNull { return nil }
    let piece = base64(unit["unit_b64"].text)
    return Array(repeatElement(piece, count: unit["count"].integer).joined()) + base64(unit["tail_b64"].text)
  }

  private func base64(_ text: String) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bits = 0
    var count = 0
    var bytes: [UInt8] = []
    for character in text.utf8 {
      guard let value = alphabet.firstIndex(of: character) else { break }
      bits = (bits << 6 | value) & 0xFFFFFF
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    return bytes
  }
}
