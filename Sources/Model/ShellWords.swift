/// Words of a command line as a POSIX shell reads them (POSIX.1-2017, XCU section 2.2), without expansions.
enum ShellWords {
  /// nil when a quotation or an escape does not end.
  static func split(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var characters = text.unicodeScalars.makeIterator()
    while let character = characters.next() {
      switch character {
      case " ", "\t", "\r", "\n":
        if let ended = word { words.append(ended) }
        word = nil
      case "'":
        guard let quoted = quoted(by: "'", &characters, escapes: false) else { return nil }
        word = (word ?? "") + quoted
      case "\"":
        guard let quoted = quoted(by: "\"", &characters, escapes: true) else { return nil }
        word = (word ?? "") + quoted
      case "\\":
        guard let next = characters.next() else { return nil }
        word = (word ?? "") + String(next)
      default: word = (word ?? "") + String(character)
      }
    }
    if let ended = word { words.append(ended) }
    return words
  }

  private static func quoted(by quote: Unicode.Scalar, _ characters: inout String.UnicodeScalarView.Iterator, escapes: Bool) -> String? {
    var text = ""
    while let character = characters.next() {
      if character == quote { return text }
      if escapes, character == "\\" {
        guard let next = characters.next() else { return nil }
        if next != "\"", next != "\\" { text.unicodeScalars.append("\\") }
        text.unicodeScalars.append(next)
      } else {
        text.unicodeScalars.append(character)
      }
    }
    return nil
  }

  /// A text that `split` takes apart into the same words.
  static func join(_ words: [String]) -> String { words.map(quote).joined(separator: " ") }

  private static func quote(_ word: String) -> String {
    let isPlain = word.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      default: "@%_-+=:,./".utf8.contains(byte)
      }
    }
    if isPlain, !word.isEmpty { return word }
    return "'" + word.unicodeScalars.map { $0 == "'" ? "'\"'\"'" : String($0) }.joined() + "'"
  }
}
