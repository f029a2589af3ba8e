/// Why a configuration is not accepted. Names and kinds only: no case carries a value.
package enum ConfigurationError: Error, Sendable, Equatable {
  case unknownKey(String, from: Origin, nearest: String?)
  case invalidValue(String, from: Origin, expected: String)
  case emptyValue(String, from: Origin)
  /// A flag at the end of the line, or before another flag.
  case missingValue(flag: String)
  /// An argument that is no flag. The text is not repeated: it may be a secret in the wrong place.
  case unexpectedArgument(position: Int)
  /// Given twice at the same place.
  case repeated(String, from: Origin)
  case malformedLine(path: String, line: Int)
  case fileMissing(path: String)
  case fileUnreadable(path: String)
  case fileNotText(path: String)
  case fileTooLarge(path: String, limit: Int)

  /// What failed and what to do: lower case, no full stop.
  package var message: String {
    switch self {
    case .unknownKey(let name, let origin, let nearest):
      "unknown setting \(name)\(Self.place(origin, name))"
        + (nearest.map { "; did you mean \($0)?" } ?? "; see conf/coffer.conf for the list")
    case .invalidValue(let name, let origin, let expected): "\(name)\(Self.place(origin, name)) must be \(expected)"
    case .emptyValue(let name, let origin): "\(name)\(Self.place(origin, name)) is empty; give a value or leave it out"
    case .missingValue(let flag): "\(flag) needs a value"
    case .unexpectedArgument(let position): "argument \(position) is not a flag; every setting is --name value"
    case .repeated(let name, let origin): "\(name) is given twice\(Self.place(origin, name))"
    case .malformedLine(let path, let line): "\(path):\(line) is not of the form key = value"
    case .fileMissing(let path): "\(path) does not exist"
    case .fileUnreadable(let path): "\(path) cannot be read; look at its owner and its mode"
    case .fileNotText(let path): "\(path) is no UTF-8 text"
    case .fileTooLarge(let path, let limit): "\(path) is longer than \(limit) bytes"
    }
  }

  private static func place(_ origin: Origin, _ name: String) -> String {
    switch origin {
    case .file: " (\(origin))"
    case .flag(let text) where text != name: " (\(text))"
    case .environment(let text) where text != name: " (\(text))"
    case .flag, .environment, .standard: ""
    }
  }
}
