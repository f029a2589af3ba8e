/// What a table of routes says of a request.
package enum RouteMatch<Route: Sendable>: Sendable {
  /// `parameters` are the decoded segments under the pattern's names, in their order.
  case found(Route, parameters: [[UInt8]])
  case notFound
  /// Every method the path has, comma-separated; HEAD wherever GET.
  case methodNotAllowed(allow: String)
  /// The path without its trailing slash has a route.
  case trailingSlash
}

/// Routes by comparing segments. A pattern is literal segments and `{name}` parameters.
package struct Router<Route: Sendable>: Sendable {
  private struct Path: Sendable {
    /// nil stands for a parameter.
    let segments: [[UInt8]?]
    let literals: Int
    var routes: [(method: HTTPMethod, route: Route)]
    var allow: String
  }

  /// By their number of segments, so that a request meets only those it could fit.
  private let paths: [[Path]]

  package init(routes: [(methods: [HTTPMethod], pattern: StaticString, route: Route)]) {
    var paths: [Path] = []
    for entry in routes {
      let segments = Self.segments(entry.pattern)
      let index = paths.firstIndex { $0.segments == segments } ?? paths.count
      if index == paths.count { paths.append(Path(segments: segments, literals: segments.count { $0 != nil }, routes: [], allow: "")) }
      paths[index].routes += entry.methods.map { ($0, entry.route) }
    }
    for index in paths.indices { paths[index].allow = Self.allow(paths[index].routes.map(\.method)) }
    let longest = paths.map(\.segments.count).max() ?? 0
    self.paths = (0...longest).map { count in paths.filter { $0.segments.count == count } }
  }

  private static func segments(_ pattern: StaticString) -> [[UInt8]?] {
    "\(pattern)".utf8.split(separator: UInt8(ascii: "/")).map { $0.first == UInt8(ascii: "{") ? nil : Array($0) }
  }

  private static func allow(_ methods: [HTTPMethod]) -> String {
    let all = methods.contains(.get) ? methods + [.head] : methods
    return HTTPMethod.allCases.filter(all.contains).map(\.rawValue).joined(separator: ", ")
  }

  /// Literal segments win over parameters: `/secrets/list` before `/secrets/{name}`.
  package func match(_ target: RequestTarget, _ method: HTTPMethod) -> RouteMatch<Route> {
    guard target.segments.count < paths.count else { return .notFound }
    let fitting = paths[target.segments.count].filter { Self.fits($0.segments, target.segments) }
    guard let path = fitting.max(by: { $0.literals < $1.literals }) else { return .notFound }
    if target.hasTrailingSlash { return .trailingSlash }
    let wanted = method == .head ? .get : method
    guard let found = path.routes.first(where: { $0.method == wanted }) else { return .methodNotAllowed(allow: path.allow) }
    var parameters: [[UInt8]] = []
    for (index, wanted) in path.segments.enumerated() where wanted == nil { parameters.append(target.segments[index]) }
    return .found(found.route, parameters: parameters)
  }

  /// A parameter is never empty and never holds a slash: an encoded slash matches nothing.
  private static func fits(_ pattern: [[UInt8]?], _ segments: [[UInt8]]) -> Bool {
    for (wanted, segment) in zip(pattern, segments) {
      if let wanted {
        if wanted != segment { return false }
      } else if segment.isEmpty || segment.contains(UInt8(ascii: "/")) {
        return false
      }
    }
    return true
  }
}
