/// What a table of routes says of a request.
package enum RouteMatch: Sendable, Equatable {
  /// `route` is the place in the table; `parameters` are the decoded segments under the pattern's names, in their order.
  case found(route: Int, parameters: [[UInt8]])
  case notFound
  /// Every method the path has, comma-separated; HEAD wherever GET.
  case methodNotAllowed(allow: String)
  /// The path without its trailing slash has a route.
  case trailingSlash
}

/// Routes by comparing segments. A pattern is literal segments and `{name}` parameters.
///
/// It gives places in its maker's table and knows nothing of what stands there: generic code that another module calls would work
/// out its types again for each request.
package struct Router: Sendable {
  private struct Path: Sendable {
    /// Where the parameters are.
    let parameters: [Int]
    var routes: [(method: HTTPMethod, route: Int)]
    var allow: String
  }

  /// The patterns of the table, each once, in its order.
  package let patterns: [String]
  private let paths: [Path]
  private let tree: PathTree

  package init(routes: [(methods: [HTTPMethod], pattern: StaticString)]) {
    var (paths, patterns, tree) = ([Path](), [String](), PathTree())
    for (place, entry) in routes.enumerated() {
      let segments = Self.segments(entry.pattern)
      let index = tree.insert(segments, as: paths.count)
      if index == paths.count {
        paths.append(Path(parameters: segments.indices.filter { segments[$0] == nil }, routes: [], allow: ""))
        patterns.append("\(entry.pattern)")
      }
      paths[index].routes += entry.methods.map { ($0, place) }
    }
    for index in paths.indices { paths[index].allow = Self.allow(paths[index].routes.map(\.method)) }
    (self.paths, self.patterns, self.tree) = (paths, patterns, tree)
  }

  /// nil stands for a parameter.
  private static func segments(_ pattern: StaticString) -> [[UInt8]?] {
    "\(pattern)".utf8.split(separator: UInt8(ascii: "/")).map { $0.first == UInt8(ascii: "{") ? nil : Array($0) }
  }

  private static func allow(_ methods: [HTTPMethod]) -> String {
    let all = methods.contains(.get) ? methods + [.head] : methods
    return HTTPMethod.allCases.filter(all.contains).map(\.rawValue).joined(separator: ", ")
  }

  /// Where in `patterns` the one is that a path fits. Literal segments win over parameters: `/secrets/list` before
  /// `/secrets/{name}`.
  package func pattern(of target: RequestTarget) -> Int? { tree.find(target.segments) }

  package func match(_ target: RequestTarget, _ method: HTTPMethod) -> RouteMatch { match(target, method, at: pattern(of: target)) }

  /// What the table says once `pattern` has been found for the path.
  package func match(_ target: RequestTarget, _ method: HTTPMethod, at pattern: Int?) -> RouteMatch {
    guard let pattern else { return .notFound }
    if target.hasTrailingSlash { return .trailingSlash }
    let wanted = method == .head ? .get : method
    guard let found = paths[pattern].routes.first(where: { $0.method == wanted }) else {
      return .methodNotAllowed(allow: paths[pattern].allow)
    }
    return .found(route: found.route, parameters: paths[pattern].parameters.map { target.segments[$0] })
  }
}

/// The patterns of a table as a tree of segments. Its nodes are numbers alone, so that walking it counts no references.
struct PathTree: Sendable {
  private struct Node {
    /// Of a literal's text in `text`; nil stands for a parameter.
    var literal: Range<Int>?
    var firstChild: Int?
    var nextSibling: Int?
    /// The number of the pattern that ends here.
    var pattern: Int?
  }

  /// The first is the root, which stands for no segment.
  private var nodes = [Node()]
  private var text: [UInt8] = []

  /// - Returns: the number the pattern has already, or else `number`, which it has from now on.
  mutating func insert(_ segments: [[UInt8]?], as number: Int) -> Int {
    var node = 0
    for segment in segments { node = child(segment, of: node) }
    if let known = nodes[node].pattern { return known }
    nodes[node].pattern = number
    return number
  }

  private mutating func child(_ segment: [UInt8]?, of parent: Int) -> Int {
    var next = nodes[parent].firstChild
    while let node = next {
      if nodes[node].literal.map({ Array(text[$0]) }) == segment { return node }
      next = nodes[node].nextSibling
    }
    let literal = segment.map { text.count..<(text.count + $0.count) }
    text += segment ?? []
    nodes.append(Node(literal: literal, firstChild: nil, nextSibling: nodes[parent].firstChild, pattern: nil))
    nodes[parent].firstChild = nodes.count - 1
    return nodes.count - 1
  }

  /// The number of the pattern that fits with the most literals, of several such the lowest.
  func find(_ segments: [[UInt8]]) -> Int? { best(segments, 0, below: 0)?.pattern }

  private func best(_ segments: [[UInt8]], _ depth: Int, below parent: Int) -> (pattern: Int, literals: Int)? {
    guard depth < segments.count else { return nodes[parent].pattern.map { ($0, 0) } }
    let segment = segments[depth]
    var best: (pattern: Int, literals: Int)?
    var next = nodes[parent].firstChild
    while let node = next {
      next = nodes[node].nextSibling
      guard fits(node, segment), var found = self.best(segments, depth + 1, below: node) else { continue }
      if nodes[node].literal != nil { found.literals += 1 }
      if let best, best.literals > found.literals || (best.literals == found.literals && best.pattern < found.pattern) { continue }
      best = found
    }
    return best
  }

  /// A parameter is never empty and never holds a slash: an encoded slash matches nothing.
  private func fits(_ node: Int, _ segment: [UInt8]) -> Bool {
    guard let literal = nodes[node].literal else { return !segment.isEmpty && !segment.contains(UInt8(ascii: "/")) }
    guard literal.count == segment.count else { return false }
    for offset in segment.indices where text[literal.lowerBound + offset] != segment[offset] { return false }
    return true
  }
}
