/// The request's path, split and decoded exactly once, and its raw query.
package struct RequestTarget: Sendable, Equatable {
  /// Decoded segments between the slashes; `/` has none. An encoded slash stays inside its segment.
  package var segments: [[UInt8]]
  package var hasTrailingSlash: Bool
  /// The path as it came, without the query: visible ASCII only.
  package var rawPath: String
  /// Without the question mark; empty when absent.
  package var rawQuery: String

  package init(segments: [[UInt8]], hasTrailingSlash: Bool, rawPath: String, rawQuery: String) {
    self.segments = segments
    self.hasTrailingSlash = hasTrailingSlash
    self.rawPath = rawPath
    self.rawQuery = rawQuery
  }

  /// Reads REQUEST_URI: cut at the first `?`, split at `/`, each segment decoded once.
  ///
  /// - Parameter normalised: DOCUMENT_URI, the path as nginx judged it. When it is given, the decoded path must be the
  ///   same byte for byte: otherwise a `location` rule and the router would have judged different paths.
  package init(parsing uri: [UInt8], normalised: ArraySlice<UInt8>?) throws(RequestRefusal) {
    guard uri.first == UInt8(ascii: "/"), uri.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .invalidPath }
    let end = uri.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex
    let path = uri[..<end]
    guard let decoded = Self.decodedSegments(path) else { throw .invalidPath }
    if let normalised, !Self.isPath(normalised, of: decoded) { throw .invalidPath }
    // After the split a trailing slash is an empty last segment.
    let hasTrailingSlash = decoded.count > 1 && decoded.last?.isEmpty == true
    let isRoot = decoded == [[]]
    self.init(
      segments: isRoot ? [] : hasTrailingSlash ? decoded.dropLast() : decoded, hasTrailingSlash: hasTrailingSlash,
      rawPath: String(decoding: path, as: UTF8.self),
      rawQuery: end < uri.endIndex ? String(decoding: uri[(end + 1)...], as: UTF8.self) : "")
  }

  /// Whether `path` is a slash and a segment, again and again, and nothing else.
  private static func isPath(_ path: ArraySlice<UInt8>, of segments: [[UInt8]]) -> Bool {
    let path = path.span
    var index = 0
    for segment in segments {
      guard path.count - index > segment.count, path[index] == UInt8(ascii: "/") else { return false }
      for offset in segment.indices where path[index + 1 + offset] != segment[offset] { return false }
      index += 1 + segment.count
    }
    return index == path.count
  }

  private static func decodedSegments(_ path: ArraySlice<UInt8>) -> [[UInt8]]? {
    // Hardly any path has an escape.
    if !path.contains(UInt8(ascii: "%")) { return plainSegments(path) }
    var segments: [[UInt8]] = []
    var current: [UInt8] = []
    var index = path.index(after: path.startIndex)
    while index < path.endIndex {
      switch path[index] {
      case UInt8(ascii: "/"):
        segments.append(current)
        current = []
      case UInt8(ascii: "%"):
        guard index + 2 < path.endIndex, let high = hexadecimal(path[index + 1]), let low = hexadecimal(path[index + 2]) else { return nil }
        let byte = high << 4 | low
        if byte == 0 { return nil }
        current.append(byte)
        index += 2
      default: current.append(path[index])
      }
      index += 1
    }
    segments.append(current)
    return segments
  }

  private static func plainSegments(_ path: ArraySlice<UInt8>) -> [[UInt8]] {
    var segments: [[UInt8]] = []
    segments.reserveCapacity(8)
    var start = path.startIndex + 1
    // By its span: an index into the slice counts a reference each time.
    let bytes = path.span
    for offset in 1..<bytes.count where bytes[offset] == UInt8(ascii: "/") {
      let index = path.startIndex + offset
      segments.append(Array(path[start..<index]))
      start = index + 1
    }
    segments.append(Array(path[start...]))
    return segments
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}

extension [UInt8] {
  /// No slash, backslash or control character hides in a decoded segment.
  package var isPlainSegment: Bool {
    allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") }
  }
}
