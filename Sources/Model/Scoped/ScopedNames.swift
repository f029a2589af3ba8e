internal import StrictJSON
@_spi(_Unicode) internal import Swift

/// The rules for names (scoped spec, section 4.2). None of these is secret.
package enum ScopedNames {
  /// A letter or digit, then up to 127 letters, digits, `.`, `_` or `-`.
  package static func isSecretID(_ text: String) -> Bool {
    guard (1...128).contains(text.utf8.count), let first = text.utf8.first, ASCII.isAlphanumeric(first) else { return false }
    return text.utf8.allSatisfy { ASCII.isAlphanumeric($0) || isMark($0) }
  }

  /// A letter or `_`, then up to 63 letters, digits, `.`, `_` or `-`.
  package static func isFieldKey(_ text: String) -> Bool {
    guard (1...64).contains(text.utf8.count), let first = text.utf8.first, ASCII.isLetter(first) || first == 0x5F else { return false }
    return text.utf8.allSatisfy { ASCII.isAlphanumeric($0) || isMark($0) }
  }

  private static func isMark(_ byte: UInt8) -> Bool { byte == 0x2E || byte == 0x5F || byte == 0x2D }

  /// A lower-case letter, then up to 31 lower-case letters, digits or `_`.
  package static func isCategory(_ text: String) -> Bool {
    guard (1...32).contains(text.utf8.count), let first = text.utf8.first, (0x61...0x7A).contains(first) else { return false }
    return text.utf8.allSatisfy { (0x61...0x7A).contains($0) || ASCII.isDigit($0) || $0 == 0x5F }
  }

  package static let defaultCategory = "other"

  /// Trimmed and in normal form C; nil with control characters, and unless 1 to 200 code points are left.
  package static func title(_ text: String) -> String? {
    var scalars = Array(normalised(text).unicodeScalars)
    // Before it is trimmed: a line's end is white space too.
    guard scalars.allSatisfy({ $0.properties.generalCategory != .control }) else { return nil }
    while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
    scalars = Array(scalars.drop { $0.properties.isWhitespace })
    return (1...200).contains(scalars.count) ? string(scalars) : nil
  }

  package static let titleRule: StaticString = "1 to 200 characters without control characters"

  /// Code points of what is said of something beside its name.
  package static let maximumDescription = 1000

  package static let maximumTags = 32

  /// Without repetitions, in their order; nil when one breaks the rules.
  package static func tags(_ texts: [String]) -> [String]? {
    guard texts.count <= maximumTags, texts.allSatisfy(isTag) else { return nil }
    var seen: Set<[UInt8]> = []
    return texts.filter { seen.insert(Array($0.utf8)).inserted }
  }

  /// 1 to 64 code points: letters, digits, blanks and `_ . : / = @ -`.
  static func isTag(_ text: String) -> Bool {
    (1...64).contains(text.unicodeScalars.count)
      && text.unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber: true
        default: " _.:/=@-".unicodeScalars.contains(scalar)
        }
      }
  }

  /// Unicode normal form C (UAX 15).
  private static func normalised(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
    return string(Array(text._nfc))
  }

  private static func string(_ scalars: [Unicode.Scalar]) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }
}

/// How a field goes over the wire; stored, both kinds are sealed.
package enum Sensitivity: String, Sendable {
  case plaintext, encrypted
}

extension [String] {
  /// As a JSON array of texts, for columns.
  package var jsonText: String {
    String(decoding: JSONValue.array(map { .string(JSONString($0)) }).serialized(), as: UTF8.self)
  }

  /// From a column; nil when it is no array of texts.
  package init?(jsonText text: String) {
    guard let array = try? JSONValue.parse([UInt8](text.utf8), limits: .scoped).array else { return nil }
    self = array.compactMap { $0.string?.text }
    guard count == array.count else { return nil }
  }
}
