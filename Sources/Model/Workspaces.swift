package import StrictJSON

/// The folders a frontend remembers (settings spec, section 9.4).
package struct Workspaces: Sendable {
  package enum List: Sendable {
    case workspaces, parents

    fileprivate var bodyMember: JSONString { self == .workspaces ? "workspaces" : "parents" }
    fileprivate var member: JSONString { self == .workspaces ? "workspaces" : "workspaceParents" }
    fileprivate var hasParent: Bool { self == .workspaces }
  }

  private var lists: [JSONString: [JSONValue]]
  /// More than a person opens, and a bound for a document that is read as a whole.
  package static let limit = 4096

  package init() { lists = [:] }

  package init(stored: JSONValue) throws(SettingsError) {
    guard let object = stored.object else { throw .invalid }
    lists = [:]
    for list in [List.workspaces, .parents] {
      guard let entries = object[list.member]?.array else { throw .invalid }
      lists[list.member] = entries
    }
  }

  package var json: JSONValue {
    ["workspaces": .array(entries(.workspaces)), "workspaceParents": .array(entries(.parents))]
  }

  private func entries(_ list: List) -> [JSONValue] { lists[list.member] ?? [] }

  /// What a body adds: all of it or nothing.
  package static func additions(_ body: JSONValue, to list: List) throws(BodyError) -> [JSONValue] {
    guard let object = body.object else { throw BodyError(issues: [.notObject(["body"])]) }
    let place: [ValidationIssue.Step] = ["body", .name(list.bodyMember)]
    guard let given = object[list.bodyMember] else { throw BodyError(issues: [.missing(place)]) }
    guard let elements = given.array else { throw BodyError(issues: [.notList(place)]) }
    var issues: [ValidationIssue] = []
    let entries = elements.enumerated().map { entry($1, list, place + [.index($0)], &issues) }
    guard issues.isEmpty else { throw BodyError(issues: issues) }
    return entries
  }

  private static func entry(_ value: JSONValue, _ list: List, _ place: [ValidationIssue.Step], _ issues: inout [ValidationIssue])
    -> JSONValue
  {
    guard let given = value.object else {
      issues.append(.notObject(place))
      return value
    }
    var entry = JSONObject()
    for (name, limit) in [("id", 4096), ("name", 256), ("path", 4096)] as [(JSONString, Int)] {
      entry[name] = text(given[name], limit, 1, place + [.name(name)], &issues)
    }
    guard list.hasParent else { return .object(entry) }
    // Both spellings are taken; null is none.
    let (name, parent): (JSONString, JSONValue?) =
      given["parentPath"] == nil ? ("parent_path", given["parent_path"]) : ("parentPath", given["parentPath"])
    if let parent, !parent.isNull { entry["parentPath"] = text(parent, 4096, 0, place + [.name(name)], &issues) }
    return .object(entry)
  }

  private static func text(
    _ value: JSONValue?, _ limit: Int, _ minimum: Int, _ place: [ValidationIssue.Step], _ issues: inout [ValidationIssue]
  ) -> JSONValue? {
    guard let value else {
      issues.append(.missing(place))
      return nil
    }
    guard let text = value.string else {
      issues.append(.notText(place))
      return nil
    }
    let count = text.text.unicodeScalars.count
    if count < minimum { issues.append(.tooShort(place, minimum: minimum)) }
    if count > limit { issues.append(.tooLong(place, maximum: limit)) }
    return value
  }

  /// Appends what has a new path; false when that is more than may be kept.
  package mutating func add(_ additions: [JSONValue], to list: List) -> Bool {
    var entries = entries(list)
    var known = Set(entries.compactMap { Self.path($0) })
    for entry in additions {
      if let path = Self.path(entry), known.insert(path).inserted { entries.append(entry) }
    }
    lists[list.member] = entries
    return entries.count <= Self.limit
  }

  /// False when no entry has the path.
  package mutating func remove(_ path: JSONString, from list: List) -> Bool {
    let entries = entries(list)
    let kept = entries.filter { Self.path($0) != path }
    lists[list.member] = kept
    return kept.count < entries.count
  }

  private static func path(_ entry: JSONValue) -> JSONString? { entry.object?["path"]?.string }
}
