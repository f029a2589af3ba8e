/// Well-formed UTF-8 sequences (RFC 3629, section 4).
package enum UTF8Sequence {
  /// The length of the multi-byte sequence at `offset`, or 0 when it is not well-formed: overlong, a surrogate,
  /// beyond U+10FFFF or cut short. ASCII bytes give 0 too.
  static func length(in text: [UInt8], at offset: Int) -> Int {
    func continues(_ distance: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
      offset + distance < text.count && range.contains(text[offset + distance])
    }
    switch text[offset] {
    case 0xC2...0xDF: return continues(1) ? 2 : 0
    case 0xE0: return continues(1, 0xA0...0xBF) && continues(2) ? 3 : 0
    case 0xE1...0xEC, 0xEE...0xEF: return continues(1) && continues(2) ? 3 : 0
    case 0xED: return continues(1, 0x80...0x9F) && continues(2) ? 3 : 0
    case 0xF0: return continues(1, 0x90...0xBF) && continues(2) && continues(3) ? 4 : 0
    case 0xF1...0xF3: return continues(1) && continues(2) && continues(3) ? 4 : 0
    case 0xF4: return continues(1, 0x80...0x8F) && continues(2) && continues(3) ? 4 : 0
    default: return 0
    }
  }

  /// True when `text` is UTF-8 throughout.
  package static func isValid(_ text: [UInt8]) -> Bool {
    var offset = 0
    while offset < text.count {
      if text[offset] < 0x80 {
        offset += 1
      } else {
        let length = length(in: text, at: offset)
        if length == 0 { return false }
        offset += length
      }
    }
    return true
  }
}
