internal import SecretMemory

/// Finds API keys in a stream of any bytes: by their prefix, their form and their check, so that chance finds none.
package struct KeyScanner {
  /// Where a key begins, and what of it is public.
  package struct Finding: Equatable, Sendable {
    package let offset: Int64
    package let prefix: String
    package let id: String
  }

  /// `csk_`, 16 characters, `_`, 49 characters. All prefixes have three letters.
  private static let keyCount = 70
  private static let prefixCount = 3
  /// Prefix, id and two underscores.
  private static let publicCount = 21

  private let prefixes: [[UInt8]]
  /// What may be the beginning of a key that goes on in the next piece: fewer bytes than a key has.
  private var rest: [UInt8] = []
  /// The offset of the first byte of `rest`.
  private var offset: Int64 = 0

  /// - Parameter prefixes: of three letters each, without the underscore.
  package init(prefixes: [String]) {
    precondition(prefixes.allSatisfy { $0.utf8.count == Self.prefixCount })
    self.prefixes = prefixes.map { Array($0.utf8) }
  }

  /// The keys that end in `piece`, which may hold the end of one that began in an earlier piece.
  package mutating func scan(_ piece: ArraySlice<UInt8>) -> [Finding] {
    var bytes = rest + piece
    defer { erase(&bytes) }
    var found: [Finding] = []
    var start = 0
    while start + Self.keyCount <= bytes.count {
      guard let underscore = bytes[(start + Self.prefixCount)...].firstIndex(of: UInt8(ascii: "_")) else { break }
      start = underscore - Self.prefixCount
      guard start + Self.keyCount <= bytes.count else { break }
      let finding = finding(bytes[start..<(start + Self.keyCount)], at: offset + Int64(start))
      if let finding { found.append(finding) }
      start += finding == nil ? 1 : Self.keyCount
    }
    let kept = max(min(start, bytes.count), bytes.count - Self.keyCount + 1)
    erase(&rest)
    rest = Array(bytes[kept...])
    offset += Int64(kept)
    return found
  }

  /// The keys in a short text.
  package static func findings(in text: [UInt8], prefixes: [String]) -> [Finding] {
    var scanner = KeyScanner(prefixes: prefixes)
    return scanner.scan(text[...])
  }

  /// A short text with asterisks for the secret part of every key in it.
  package static func masked(_ text: [UInt8], prefixes: [String]) -> [UInt8] {
    var text = text
    for finding in findings(in: text, prefixes: prefixes) {
      let start = Int(finding.offset)
      for index in (start + publicCount)..<(start + keyCount) { text[index] = UInt8(ascii: "*") }
    }
    return text
  }

  private func finding(_ bytes: ArraySlice<UInt8>, at offset: Int64) -> Finding? {
    guard prefixes.contains(where: { bytes.starts(with: $0) }) else { return nil }
    var text = Array(bytes)
    defer { erase(&text) }
    return APIKeyToken(parsing: text).map { Finding(offset: offset, prefix: $0.prefix, id: $0.id) }
  }
}
