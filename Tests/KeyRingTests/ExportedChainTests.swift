import KeyRing
import SecretMemory
import Testing

@Suite struct ExportedChainTests {
  private let root: RootKey

  init() throws { root = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 7, count: 32))) }

  private func lines(_ count: Int, checkpoint: String = "null") throws -> [String] {
    var (lines, last) = (
      [#"{"format":"coffer-audit/1","tenant":"t","checkpoint":\#(checkpoint),"rootKeyId":"0123456789abcdef"}"#], nil as [UInt8]?
    )
    for number in 1...count {
      let texts = ["t", "at", "agent", "a", "", "x", "", "", "", "", "", "allowed", "r", "\(number)"]
      let hash = AuditLink.hash(AuditLink.Fields(sequence: UInt64(number), texts: texts), after: last)
      lines.append(
        #"{"tenant":"t","sequence":\#(number),"at":"at","actorType":"agent","actorId":"a","action":"x","outcome":"allowed","requestId":"r","#
          + #""details":"\#(number)","hash":"\#(WireText.hexadecimalText(hash))","mac":"\#(WireText.hexadecimalText(try root.auditMAC(hash)))"}"#
      )
      last = hash
    }
    return lines
  }

  private func chain(_ lines: [String]) -> ExportedChain? { ExportedChain(Array(lines.joined(separator: "\n").utf8)) }

  @Test func aWholeExportFitsWithAndWithoutTheKey() throws {
    let chain = try #require(chain(try lines(5) + [""]))
    #expect(chain.tenant == "t" && chain.rootKeyID == "0123456789abcdef")
    for roots in [RootKeys(root), nil] {
      let walk = try #require(chain.walk(roots: roots))
      #expect(walk.entries == 5 && walk.firstBad == nil)
    }
    let wrong = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 8, count: 32)))
    #expect(chain.walk(roots: RootKeys(wrong))?.firstBad == 1)
    #expect(chain.walk(roots: nil, mark: AuditMark(sequence: 6, hash: []))?.firstBad == 6)
  }

  @Test func whatWasChangedIsFound() throws {
    var changed = try lines(5)
    changed[3] = changed[3].replacing("allowed", with: "denied")
    #expect(chain(changed)?.walk(roots: nil)?.firstBad == 3)
    var dropped = try lines(5)
    dropped.remove(at: 2)
    #expect(chain(dropped)?.walk(roots: nil)?.firstBad == 2)
    #expect(chain(try lines(2, checkpoint: #""00""#))?.walk(roots: nil)?.firstBad == 0)
    #expect(chain(try lines(2, checkpoint: #""no digits""#))?.walk(roots: nil)?.firstBad == 0)
    #expect(chain(try lines(2, checkpoint: "7"))?.walk(roots: nil)?.firstBad == 0)
  }

  @Test func whatIsNoExportIsNone() throws {
    for text in [
      "", "\n\n", "{}", "[]", "x", #"{"format":"coffer-audit/2","tenant":"t","checkpoint":null}"#,
      #"{"format":"coffer-audit/1","tenant":"t"}"#,
    ] {
      #expect(chain([text]) == nil)
    }
    // A line that is no entry is told from an entry that does not fit.
    let entries = try lines(3)
    #expect(try #require(chain(entries + ["x"])).walk(roots: nil) == nil)
    #expect(chain(entries + ["{}"])?.walk(roots: nil)?.firstBad == 4)
    #expect(chain([entries[0], entries[2], "x"])?.walk(roots: nil)?.firstBad == 1)
  }

  @Test func hexadecimalIsOfPairs() {
    #expect(WireText.decodeHexadecimal("00fFa1") == [0, 0xFF, 0xA1])
    #expect(WireText.decodeHexadecimal("") == [])
    for text in ["0", "0g", "é0", "+1", " 1", "\u{FF11}\u{FF11}"] { #expect(WireText.decodeHexadecimal(text) == nil) }
  }
}
