import SecretMemory
import Testing

@testable import EnvironmentFiles

struct DotenvFileTests {
  private func parsed(_ text: String) throws(DotenvProblem) -> [String] {
    try DotenvFile(parsing: SecretBytes(copying: Array(text.utf8))).variables.map { variable in
      variable.name + "="
        + variable.value.withBytes { bytes in unsafe bytes.withUnsafeBytes { String(decoding: unsafe Array($0), as: UTF8.self) } }
    }
  }

  @Test(arguments: [
    ("", []),
    ("\n  # comment\n \r\n", []),
    ("A=1\nB=2", ["A=1", "B=2"]),
    ("A=1\r\nB=2\r\n", ["A=1", "B=2"]),
    ("  export A = one two  # three\n", ["A=one two"]),
    ("export=1", ["export=1"]),
    ("A=\nB=''\nC=\"\"", ["A=", "B=", "C="]),
    ("a.b-c_1=x=y", ["a.b-c_1=x=y"]),
    ("A='it is # $HOME $ {X} \"q\" \\n'", ["A=it is # $HOME $ {X} \"q\" \\n"]),
    ("A=\"it's # 5$ \\n\" # comment", ["A=it's # 5$ \n"]),
    ("A='one\ntwo'\nB=3", ["A=one\ntwo", "B=3"]),
    ("A=c:\\dir\\n", ["A=c:\\dir\\n"]),
    ("A=$2b$10", ["A=$2b$10"]),
    ("A=b'c\"d", ["A=b'c\"d"]),
  ])
  func fileIsRead(_ text: String, _ expected: [String]) throws {
    #expect(try parsed(text) == expected)
  }

  @Test(arguments: [
    ("A", 1, DotenvProblem.Reason.noAssignment), ("A=1\nB \n", 2, .noAssignment), ("=1", 1, .noName), ("1A=1", 1, .noName),
    ("A B=1", 1, .noName), ("é=1", 1, .noName), ("\u{FEFF}A=1", 1, .noName), ("'A'=1", 1, .noName), ("A: 1", 1, .noName),
    ("A='x\nB=2", 1, .unclosed), ("A=\"x", 1, .unclosed), ("A='x'y", 1, .behindQuotes), ("A='x\n'y", 2, .behindQuotes),
    ("A=\"\\\"\"", 1, .backslash), ("A=\"\\t\"", 1, .backslash), ("A=\"\\r\"", 1, .backslash), ("A=\"\\\\\"", 1, .backslash),
    ("A='\\\\'", 1, .backslash), ("A='\\''", 1, .backslash), ("A=\"$HOME\"", 1, .dollar), ("A=\"${X}\"", 1, .dollar),
    ("A=$HOME", 1, .dollar), ("A=$(x)", 1, .dollar), ("A=\"a $(x)\"", 1, .dollar),
    ("A=x${X}", 1, .dollar), ("A=x#y", 1, .hash), ("A=#x", 1, .hash), ("A=x\t#y", 1, .hash), ("A=\tx", 1, .blank), ("A=x\t", 1, .blank),
    ("A=x\u{2028}", 1, .blank), ("A\t=x", 1, .noName), ("\tA=x", 1, .noName), ("A= # x", 1, .hash), ("A='${X}'", 1, .dollar),
    ("A=`x`", 1, .backquote), ("A=x\ry", 1, .carriageReturn),
    ("A='x\r\ny'", 1, .carriageReturn), ("A=1\nB=2\nA=3", 3, .twice), ("A=x\u{0}y", 1, .notText),
  ])
  func lineIsRefused(_ text: String, _ line: Int, _ reason: DotenvProblem.Reason) {
    #expect(throws: DotenvProblem(line: line, reason: reason)) { try parsed(text) }
  }

  @Test func valuesAreText() {
    #expect(throws: DotenvProblem(line: 1, reason: .notText)) { try DotenvFile(parsing: SecretBytes(copying: Array("A=".utf8) + [0xFF])) }
  }
}
