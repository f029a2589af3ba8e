internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// The query of a list (scoped spec, section 1.3): `limit`, `cursor`, and the parameters that the list has besides.
///
/// Other names are refused: whoever pages by a wrong one would read the first page again and again.
struct ListQuery {
  /// How many rows an answer has at most, and without `limit`.
  struct Bound {
    let maximum: Int
    let rule: StaticString

    static let rows = Bound(maximum: 200, rule: "an integer from 1 to 200")
    static let exported = Bound(maximum: 5000, rule: "an integer from 1 to 5000")
  }

  let limit: Int
  /// Rows to ask for: one behind the page tells that there are more.
  var fetched: Int { limit + 1 }

  private let target: RequestTarget
  private let position: String?
  /// What a cursor is good for: the caller, the path and the other parameters.
  private let question: [String]
  private let service: Service

  /// - Parameter names: the list's parameters besides `limit` and `cursor`.
  init(_ request: Request, _ desk: Desk, _ names: [String] = [], _ bound: Bound = .rows) throws(AdminFailure) {
    target = request.target
    service = desk.service
    var values: [String: String] = [:]
    for (name, value) in target.queryParameters {
      guard name == "limit" || name == "cursor" || names.contains(name), values.updateValue(value, forKey: name) == nil else {
        throw .refused(.invalid("/query", "parameters that the list has, each once"))
      }
    }
    if let text = values["limit"] {
      guard let number = Self.integer(text), (1...Int64(bound.maximum)).contains(number) else {
        throw .refused(.invalid("/query/limit", bound.rule))
      }
      limit = Int(number)
    } else {
      limit = bound.maximum
    }
    question =
      [desk.caller?.actor.rawValue ?? "", desk.caller?.keyID ?? "", target.rawPath]
      + names.flatMap { name in values[name].map { [name, $0] } ?? [] }
    guard let text = values["cursor"] else {
      position = nil
      return
    }
    guard let cursor = Cursor(text, question, service) else { throw Self.refusedCursor }
    position = cursor.position
  }

  /// Behind which row the page begins; nil = with the first one.
  func position<Key: LosslessStringConvertible>(_: Key.Type) throws(AdminFailure) -> Key? {
    guard let position else { return nil }
    guard let key = Key(position) else { throw Self.refusedCursor }
    return key
  }

  /// The same for lists in order of a text.
  var after: String { position ?? "" }

  func cursor(behind key: some LosslessStringConvertible) throws(AdminFailure) -> String {
    // Without it the list would seem to end here.
    guard let text = Cursor(String(key)).text(question, service) else { throw .service(.internalFailure) }
    return text
  }

  func flag(_ name: StaticString) throws(AdminFailure) -> Bool { try target.flag(name) }

  /// The sequence number behind which a list of audit entries begins: the cursor's, or `after`.
  func sequence() throws(AdminFailure) -> Int64 {
    if let sequence = try position(Int64.self) { return sequence }
    guard let text = target.queryValue("after") else { return 0 }
    guard let number = Self.integer(text) else { throw .refused(.invalid("/query/after", "the sequence number of an entry")) }
    return number
  }

  private static func integer(_ text: String) -> Int64? {
    guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int64(text)
  }

  static var refusedCursor: AdminFailure {
    .refused(.invalid("/query/cursor", "the cursor of an earlier answer to the same question"))
  }
}

extension RequestTarget {
  func flag(_ name: StaticString) throws(AdminFailure) -> Bool {
    switch queryValue("\(name)") {
    case "true": true
    case nil, "false": false
    default: throw .refused(.invalid("/query/\(name)", "true or false"))
    }
  }
}

extension AdminAPI {
  /// The answer with as many of `rows` as the query wants.
  ///
  /// - Parameters:
  ///   - rows: in order of `key`, the first behind the query's position; more than the limit when there are more.
  ///   - key: what no two rows have in common.
  func page<Row>(
    _ query: ListQuery, _ rows: some RandomAccessCollection<Row>, key: (Row) -> some LosslessStringConvertible, json: (Row) -> JSONValue,
    _ request: Request
  ) throws(AdminFailure) -> Response {
    let shown = rows.prefix(query.limit)
    let cursor: String? = if rows.count > query.limit, let last = shown.last { try query.cursor(behind: key(last)) } else { nil }
    return page(shown.map(json), cursor: cursor, request)
  }

  /// A page of a short list that was read whole.
  func page<Row, Key: Comparable & LosslessStringConvertible>(
    of rows: [Row], key: (Row) -> Key, json: (Row) -> JSONValue, _ request: Request
  ) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    var rows = rows.sorted { key($0) < key($1) }
    if let position = try query.position(Key.self) { rows.removeAll { key($0) <= position } }
    return try page(query, rows, key: key, json: json, request)
  }
}
