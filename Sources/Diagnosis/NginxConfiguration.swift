/// nginx's configuration as its files say it, includes in their places. Only what a judgement needs: no directive is checked.
package struct NginxConfiguration: Sendable {
  package struct Directive: Sendable, Equatable {
    package let name: String
    package let arguments: [String]
    /// nil for a simple directive.
    package let block: [Directive]?
  }

  package enum Problem: Error, Sendable, Equatable {
    case unreadable(path: String)
    case malformed(path: String)
    case tooDeep(path: String)
  }

  private static let maximumDepth = 16

  package let path: String
  package let directives: [Directive]

  /// Reads `path` and everything it includes.
  ///
  /// - Parameters:
  ///   - read: a file's text; nil when it cannot be read.
  ///   - expand: the paths that fit an absolute pattern, in order.
  package init(path: String, read: (String) -> String?, expand: (String) -> [String]) throws(Problem) {
    self.path = path
    directives = try Self.file(path, base: Self.folder(of: path), depth: 0, read, expand)
  }

  /// nginx takes relative names from the main file's folder, wherever they stand (nginx.org, Core functionality, include).
  private static func file(
    _ path: String, base: String, depth: Int, _ read: (String) -> String?, _ expand: (String) -> [String]
  ) throws(Problem) -> [Directive] {
    guard depth < maximumDepth else { throw .tooDeep(path: path) }
    guard let text = read(path) else { throw .unreadable(path: path) }
    guard let tokens = NginxTokens.all(of: text) else { throw .malformed(path: path) }
    var rest = tokens[...]
    let parsed = try block(&rest, isOutermost: true, path: path)
    return try included(parsed, base: base, depth: depth, read, expand)
  }

  private static func included(
    _ directives: [Directive], base: String, depth: Int, _ read: (String) -> String?, _ expand: (String) -> [String]
  ) throws(Problem) -> [Directive] {
    var result: [Directive] = []
    for directive in directives {
      if directive.name == "include", let name = directive.arguments.first {
        let pattern = name.hasPrefix("/") ? name : base + "/" + name
        let isPattern = pattern.contains { "*?[".contains($0) }
        for path in isPattern ? expand(pattern) : [pattern] {
          result += try file(path, base: base, depth: depth + 1, read, expand)
        }
      } else if let inner = directive.block {
        let block = try included(inner, base: base, depth: depth, read, expand)
        result.append(Directive(name: directive.name, arguments: directive.arguments, block: block))
      } else {
        result.append(directive)
      }
    }
    return result
  }

  private static func block(_ tokens: inout ArraySlice<NginxTokens.Token>, isOutermost: Bool, path: String) throws(Problem) -> [Directive] {
    var result: [Directive] = []
    var words: [String] = []
    while let token = tokens.popFirst() {
      switch token {
      case .word(let word): words.append(word)
      case .end:
        guard let name = words.first else { throw .malformed(path: path) }
        result.append(Directive(name: name, arguments: Array(words.dropFirst()), block: nil))
        words = []
      case .open:
        guard let name = words.first else { throw .malformed(path: path) }
        let inner = try block(&tokens, isOutermost: false, path: path)
        result.append(Directive(name: name, arguments: Array(words.dropFirst()), block: inner))
        words = []
      case .close:
        guard !isOutermost, words.isEmpty else { throw .malformed(path: path) }
        return result
      }
    }
    guard isOutermost, words.isEmpty else { throw .malformed(path: path) }
    return result
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "" : String(path[..<slash])
  }
}

/// Words and marks of nginx's syntax.
enum NginxTokens {
  enum Token: Equatable {
    case word(String)
    case end, open, close
  }

  /// nil when a quote does not end.
  static func all(of text: String) -> [Token]? {
    var tokens: [Token] = []
    let bytes = Array(text.utf8)
    var index = 0
    while index < bytes.count {
      switch bytes[index] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): index += 1
      case UInt8(ascii: "#"): while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
      case UInt8(ascii: ";"):
        tokens.append(.end)
        index += 1
      case UInt8(ascii: "{"):
        tokens.append(.open)
        index += 1
      case UInt8(ascii: "}"):
        tokens.append(.close)
        index += 1
      case let quote where quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"):
        guard let word = quoted(bytes, from: &index, until: quote) else { return nil }
        tokens.append(.word(word))
      default: tokens.append(.word(plain(bytes, from: &index)))
      }
    }
    return tokens
  }

  private static func quoted(_ bytes: [UInt8], from index: inout Int, until quote: UInt8) -> String? {
    var word: [UInt8] = []
    index += 1
    while index < bytes.count, bytes[index] != quote {
      if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count { index += 1 }
      word.append(bytes[index])
      index += 1
    }
    guard index < bytes.count else { return nil }
    index += 1
    return String(decoding: word, as: UTF8.self)
  }

  /// A brace behind a dollar sign belongs to the word: `${name}`.
  private static func plain(_ bytes: [UInt8], from index: inout Int) -> String {
    var word: [UInt8] = []
    var isInVariable = false
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "{"), word.last == UInt8(ascii: "$") { isInVariable = true }
      if !isInVariable, [0x20, 0x09, 0x0D, 0x0A, UInt8(ascii: ";"), UInt8(ascii: "{")].contains(byte) { break }
      if byte == UInt8(ascii: "}") { isInVariable = false }
      if byte == UInt8(ascii: "\\"), index + 1 < bytes.count {
        word.append(byte)
        index += 1
      }
      word.append(bytes[index])
      index += 1
    }
    return String(decoding: word, as: UTF8.self)
  }
}
