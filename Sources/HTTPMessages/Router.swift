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
    let pattern: String
    /// nil stands for a parameter.
    let segments: [[UInt8]?]
    let literals: Int
    /// Where the parameters are.
    let parameters: [Int]
    var routes: [(method: HTTPMethod, route: Route)]
    var allow: String
  }

  /// The patterns of the table, each once, in its order.
  package let patterns: [String]
  private let paths: [Path]
  /// Where the paths are, by their number of segments, so that a request meets only those it could fit.
  private let places: [[Int]]

  package init(routes: [(methods: [HTTPMethod], pattern: StaticString, route: Route)]) {
    var paths: [Path] = []
    for entry in routes {
      let segments = Self.segments(entry.pattern)
      let index = paths.firstIndex { $0.segments == segments } ?? paths.count
      if index == paths.count {
        paths.append(
          Path(
            pattern: "\(entry.pattern)", segments: segments, literals: segments.count { $0 != nil },
            parameters: segments.indices.filter { segments[$0] == nil }, routes: [], allow: ""))
      }
      paths[index].routes += entry.methods.map { ($0, entry.route) }
    }
    for index in paths.indices { paths[index].allow = Self.allow(paths[index].routes.map(\.method)) }
    self.paths = paths
    patterns = paths.map(\.pattern)
    let longest = paths.map(\.segments.count).max() ?? 0
    places = (0...longest).map { count in paths.indices.filter { paths[$0].segments.count == count } }
  }

  private static func segments(_ pattern: StaticString) -> [[UInt8]?] {
    "\(pattern)".utf8.split(separator: UInt8(ascii: "/")).map { $0.first == UInt8(ascii: "{") ? nil : Array($0) }
  }

  private static func allow(_ methods: [HTTPMethod]) -> String {
    let all = methods.contains(.get) ? methods + [.head] : methods
    return HTTPMethod.allCases.filter(all.contains).map(\.rawValue).joined(separator: ", ")
  }

  /// Where in `patterns` the one is that a path fits. Literal segments win over parameters: `/secrets/list` before
  /// `/secrets/{name}`.
  package func pattern(of target: RequestTarget) -> Int? {
    guard target.segments.count < places.count else { return nil }
    var best: Int?
    var literals = -1
    for index in places[target.segments.count] where paths[index].literals > literals && fits(index, target.segments) {
      best = index
      literals = paths[index].literals
    }
    return best
  }

  package func match(_ target: RequestTarget, _ method: HTTPMethod) -> RouteMatch<Route> {
    match(target, method, at: pattern(of: target))
  }

  /// What the table says once `pattern` has been found for the path.
  package func match(_ target: RequestTarget, _ method: HTTPMethod, at pattern: Int?) -> RouteMatch<Route> {
    guard let pattern else { return .notFound }
    if target.hasTrailingSlash { return .trailingSlash }
    let wanted = method == .head ? .get : method
    guard let found = paths[pattern].routes.first(where: { $0.method == wanted }) else {
      return .methodNotAllowed(allow: paths[pattern].allow)
    }
    return .found(found.route, parameters: paths[pattern].parameters.map { target.segments[$0] })
  }

  /// A parameter is never empty and never holds a slash: an encoded slash matches nothing. From the end, where paths differ.
  private func fits(_ path: Int, _ segments: [[UInt8]]) -> Bool {
    for index in segments.indices.reversed() {
      if let wanted = paths[path].segments[index] {
        if wanted != segments[index] { return false }
      } else if segments[index].isEmpty || segments[index].contains(UInt8(ascii: "/")) {
        return false
      }
    }
    return true
  }
}
