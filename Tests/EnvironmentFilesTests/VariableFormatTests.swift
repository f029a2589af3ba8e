import SecretMemory
import StrictJSON
import Testing

@testable import EnvironmentFiles

struct VariableFormatTests {
  private func text(_ format: VariableFormat, _ value: [UInt8]) -> Result<String, UnwritableVariable> {
    Result { () throws(UnwritableVariable) in
      let text = try format.text(of: [Variable(name: "A", value: SecretBytes(copying: value))])
      return text.withBytes { bytes in unsafe bytes.withUnsafeBytes { String(decoding: unsafe Array($0), as: UTF8.self) } }
    }
  }

  @Test(arguments: [
    (VariableFormat.dotenv, "", "A=''\n"),
    (.dotenv, "a b#c", "A='a b#c'\n"),
    (.dotenv, "it's", "A=\"it's\"\n"),
    (.dotenv, "x\\ny$1", "A='x\\ny$1'\n"),
    (.dotenv, "one\ntwo", "A='one\ntwo'\n"),
    (.json, "a\"\u{0}\n", "{\"A\":\"a\\\"\\u0000\\n\"}\n"),
    (.shell, "", "export A=''\n"),
    (.shell, "it's $HOME `x`\n", "export A='it'\\''s $HOME `x`\n'\n"),
    (.docker, "", "A=\n"),
    (.docker, " 'x' \"#", "A= 'x' \"#\n"),
    (.systemd, "a\"\\`$\n", "A=\"a\\\"\\\\\\`\\$\n\"\n"),
  ])
  func valueIsWritten(_ format: VariableFormat, _ value: String, _ expected: String) {
    #expect(text(format, Array(value.utf8)) == .success(expected))
  }

  @Test(arguments: [
    (VariableFormat.dotenv, "\u{0}", UnwritableVariable.Reason.zeroByte), (.shell, "\u{0}", .zeroByte), (.docker, "\u{0}", .zeroByte),
    (.systemd, "\u{0}", .zeroByte), (.docker, "a\nb", .lineEnd), (.docker, "a\r", .lineEnd), (.dotenv, "a\rb", .carriageReturn),
    (.dotenv, "'\"", .ambiguity), (.dotenv, "${A}'", .ambiguity), (.dotenv, "${A}", .ambiguity), (.dotenv, "\\\\", .ambiguity),
    (.dotenv, "end\\", .ambiguity), (.dotenv, "'`", .ambiguity), (.systemd, "\u{FEFF}", .noncharacter),
    (.systemd, "\u{FFFE}", .noncharacter),
  ])
  func valueIsRefused(_ format: VariableFormat, _ value: String, _ reason: UnwritableVariable.Reason) {
    #expect(text(format, Array(value.utf8)) == .failure(UnwritableVariable(name: "A", reason: reason)))
  }

  @Test func onlyTheShellTakesOtherBytesThanText() {
    for format in VariableFormat.allCases where format != .shell {
      #expect(text(format, [0xFF]) == .failure(UnwritableVariable(name: "A", reason: .notText)))
    }
    #expect(throws: Never.self) { try text(.shell, [0xFF]).get() }
  }

  @Test func dockerLinesHaveALimit() {
    #expect(throws: Never.self) { try text(.docker, Array(repeating: 0x61, count: 65_533)).get() }
    #expect(text(.docker, Array(repeating: 0x61, count: 65_534)) == .failure(UnwritableVariable(name: "A", reason: .length)))
  }

  @Test func oneRefusalRefusesAll() {
    let variables = [Variable(name: "A", value: SecretBytes()), Variable(name: "B", value: SecretBytes(copying: [0]))]
    #expect(throws: UnwritableVariable(name: "B", reason: .zeroByte)) { try VariableFormat.shell.text(of: variables) }
  }

  @Test func nothingIsAnEmptyFile() throws {
    for format in VariableFormat.allCases { #expect(try format.text(of: []).count == (format == .json ? 3 : 0)) }
  }

  /// What is written as dotenv or as JSON is read back as it was.
  @Test func generatedValuesComeBack() throws {
    var random = Generator(state: 7)
    var written = 0
    for _ in 0..<5000 {
      let value = (0..<Int.random(in: 0..<12, using: &random)).map { _ in Self.alphabet.randomElement(using: &random)! }.joined()
      let variable = Variable(name: "NAME", value: SecretBytes(copying: Array(value.utf8)))
      let json = try VariableFormat.json.text(of: [variable])
      let object = try json.withBytes { bytes throws(JSONError) in
        try JSONValue.parse(bytes, limits: .init(bytes: 4096, depth: 4, members: 8))
      }
      #expect(object.object?["NAME"]?.string?.utf8 == Array(value.utf8))
      guard let text = try? VariableFormat.dotenv.text(of: [variable]) else { continue }
      written += 1
      let read = try DotenvFile(parsing: text).variables
      #expect(read.map(\.name) == ["NAME"] && read[0].value == variable.value)
    }
    #expect(written > 1000)
  }

  private static let alphabet = [
    "a", "Z", "0", " ", "\t", "\n", "'", "\"", "\\", "$", "{", "}", "#", "=", "`", "é", "😀", "export ", "\u{1}",
  ]

  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    /// SplitMix64.
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
      return mixed ^ mixed >> 31
    }
  }
}
