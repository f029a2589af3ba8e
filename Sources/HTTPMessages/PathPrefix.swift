/// The path under which a front end mounts the server, as in `https://example.org/coffer`: requests are served with it and
/// without it.
package struct PathPrefix: Sendable, Equatable {
  private let segments: [[UInt8]]

  /// - Parameter url: an absolute URL; without a path there is no prefix, nor with one that no request could have.
  package init(url: String) {
    let bytes = Array(url.utf8)
    let scheme = bytes.firstIndex(of: UInt8(ascii: ":")).map { $0 + 3 } ?? 0
    let authority = bytes.dropFirst(scheme)
    let path = authority.firstIndex(of: UInt8(ascii: "/")).map {
      bytes[$0...].prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    }
    // Decoded, as those of a request are.
    let target = path.flatMap { try? RequestTarget(parsing: Array($0), normalised: nil) }
    segments = (target?.segments ?? []).filter { !$0.isEmpty }
  }

  /// The target without the prefix. Its raw path keeps it, since redirects lead back to the front end.
  package func removed(from target: RequestTarget) -> RequestTarget {
    guard !segments.isEmpty, target.segments.starts(with: segments) else { return target }
    var target = target
    target.segments.removeFirst(segments.count)
    if target.segments.isEmpty { target.hasTrailingSlash = false }
    return target
  }
}
