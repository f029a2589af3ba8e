import Store
import Testing

@testable import Service

/// What the row of a secret says of its fields.
@Suite struct NewestVersionsTests {
  @Test func keysAreInTheOrderOfTheirBytes() throws {
    var versions = NewestVersions()
    #expect(versions.text == "")
    for (key, version) in [("b", 1), ("ab", 7), ("B", 2), ("_", 3), ("a.b", 4), ("a", UInt64.max), ("b", 12)] { versions.set(key, version) }
    #expect(versions.text == "B=2 _=3 a=\(UInt64.max) a.b=4 ab=7 b=12")
    let read = try #require(NewestVersions(versions.text))
    #expect(read.entries.map(\.key) == versions.entries.map(\.key) && read.entries.map(\.version) == versions.entries.map(\.version))
  }

  @Test func oneKeyIsFoundAmongThoseThatBeginAlike() {
    let text = "a=1 a.b=22 ab=3 b=4"
    for (key, version) in [("a", 1), ("a.b", 22), ("ab", 3), ("b", 4)] as [(String, UInt64)] {
      #expect(NewestVersions.version(of: key, in: text) == version)
    }
    for key in ["", "a.", "abc", "c", "1", "=", "a=1"] { #expect(NewestVersions.version(of: key, in: text) == nil) }
    #expect(NewestVersions.version(of: "a", in: "") == nil)
  }

  @Test func rowsAreNamedAsTheyAreWritten() {
    var versions = NewestVersions()
    let rows = [("B", 2), ("a", 1), ("a.b", 30)].map { key, version in
      FieldRow(
        tenant: "t", incarnation: 1, fieldKey: key, version: version, state: .live, sensitivity: "plaintext", dataKeyID: [], kekVersion: 1,
        createdAt: 0, createdBy: "", purgeAfter: nil, mac: [], sealed: [])
    }
    for row in rows.reversed() { versions.set(row.fieldKey, row.version) }
    #expect(NewestVersions.text(rows) == versions.text && NewestVersions.text([]) == "")
  }

  @Test("texts that Coffer does not write", arguments: ["a", "a=", "=1", "a=b", "a=1=2", "a=-1", "a=1 b", "a=18446744073709551616"])
  func refused(text: String) { #expect(NewestVersions(text) == nil) }
}
