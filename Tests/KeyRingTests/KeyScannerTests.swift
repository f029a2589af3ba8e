import SecretMemory
import Testing

@testable import KeyRing

struct KeyScannerTests {
  private static let prefixes = ["csk", "adk", "agk", "agc", "inv"]
  /// The specification's example (scoped spec, section 11).
  private static let example = Array("agk_0000000000000001_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1Zm6KJ".utf8)

  private func key(_ prefix: String) throws -> [UInt8] {
    try APIKeyToken.generate(prefix: prefix).text.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
  }

  @Test(arguments: prefixes) func everyKindIsFound(_ prefix: String) throws {
    let key = try key(prefix)
    let found = KeyScanner.findings(in: Array("x".utf8) + [0, 0xFF] + key + [0], prefixes: Self.prefixes)
    #expect(found == [KeyScanner.Finding(offset: 3, prefix: prefix, id: String(decoding: key[4..<20], as: UTF8.self))])
  }

  @Test func noneIsFoundInWhatOnlyLooksLikeOne() throws {
    var wrong = Self.example
    wrong[30] = UInt8(ascii: "B")
    for text in [wrong, Array(Self.example.dropLast()), Array(Self.example.dropFirst()), try key("xyz")] {
      #expect(KeyScanner.findings(in: text, prefixes: Self.prefixes).isEmpty)
    }
  }

  @Test func neighboursAreFound() {
    let found = KeyScanner.findings(in: Array("agk_agk___".utf8) + Self.example + Self.example + Array("_".utf8), prefixes: Self.prefixes)
    #expect(found.map(\.offset) == [10, 80])
  }

  /// However the stream is cut, the same keys are found at the same places, each once.
  @Test(arguments: 1...140) func piecesDoNotMatter(_ count: Int) {
    let text = Array("____csk".utf8) + Self.example + Array("_agk_".utf8) + Self.example + Array("agk".utf8)
    var scanner = KeyScanner(prefixes: Self.prefixes)
    var found: [Int64] = []
    for start in stride(from: 0, to: text.count, by: count) {
      found += scanner.scan(text[start..<min(start + count, text.count)]).map(\.offset)
    }
    #expect(found == [7, 82])
  }

  @Test func maskedTextHoldsNoKey() {
    let masked = KeyScanner.masked(Array("dir/".utf8) + Self.example + Array(".txt".utf8), prefixes: Self.prefixes)
    #expect(String(decoding: masked, as: UTF8.self) == "dir/agk_0000000000000001_" + String(repeating: "*", count: 49) + ".txt")
  }
}
