internal import Glibc

/// The expression of OH_ALLOW_CORS_ORIGIN_REGEX: a POSIX extended regular expression that must match the whole origin.
///
/// Back references and escapes before letters or digits are refused: in the regular expressions upstream takes, `\d` is
/// a digit, and in POSIX it would silently be the letter.
@safe package final class OriginPattern: @unchecked Sendable, Equatable {
  // Unchecked: written in `init` only; regexec is thread-safe by POSIX and takes glibc's own lock.
  private var compiled = unsafe regex_t()
  let source: String

  /// nil when the text is not such an expression, or longer than 1,024 bytes.
  package init?(_ text: String) {
    guard text.utf8.count <= 1024, Self.usesPlainEscapes(text) else { return nil }
    source = text
    // The text alone first, so that `a)|(b` does not become valid by the parentheses around it.
    var alone = unsafe regex_t()
    guard unsafe regcomp(&alone, text, REG_EXTENDED | REG_NOSUB) == 0 else { return nil }
    unsafe regfree(&alone)
    guard unsafe regcomp(&compiled, "^(\(text))$", REG_EXTENDED | REG_NOSUB) == 0 else { return nil }
  }

  deinit { unsafe regfree(&compiled) }

  package func matches(_ origin: String) -> Bool {
    guard origin.utf8.count <= 2048, !origin.utf8.contains(0) else { return false }
    return unsafe regexec(&compiled, origin, 0, nil, 0) == 0
  }

  package static func == (left: OriginPattern, right: OriginPattern) -> Bool { left.source == right.source }

  private static func usesPlainEscapes(_ text: String) -> Bool {
    var isEscaped = false
    for byte in text.utf8 {
      if isEscaped, (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) { return false }
      isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
    }
    return !isEscaped && !text.utf8.contains(0)
  }
}
