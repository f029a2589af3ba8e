internal import HTTPMessages
internal import Model
internal import Service

/// The parameters of a query, decoded. Names that are not asked for are ignored.
struct Query {
  private var parameters: [(name: String, value: String)] = []

  init(_ raw: String) throws(ScopedFailure) {
    for part in raw.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = Self.decoded(pair[0]), let value = Self.decoded(pair.count == 2 ? pair[1] : "") else {
        throw ScopedFailure(.invalid("/query", "percent escapes of UTF-8 text"))
      }
      parameters.append((name, value))
    }
  }

  func list(_ name: String) -> [String] { parameters.filter { $0.name == name }.map(\.value) }

  func one(_ name: String) throws(ScopedFailure) -> String? {
    let found = list(name)
    guard found.count <= 1 else { throw invalid(name, "given once") }
    return found.first
  }

  func flag(_ name: String) throws(ScopedFailure) -> Bool {
    switch try one(name) {
    case "true": true
    case nil, "false": false
    default: throw invalid(name, "true or false")
    }
  }

  func limit() throws(ScopedFailure) -> Int? {
    guard let text = try one("limit") else { return nil }
    guard let number = Self.integer(text), (1...200).contains(number) else { throw invalid("limit", "an integer from 1 to 200") }
    return Int(number)
  }

  func version() throws(ScopedFailure) -> UInt64? {
    guard let text = try one("version") else { return nil }
    guard let number = Self.integer(text) else { throw invalid("version", "an integer") }
    return UInt64(number)
  }

  /// RFC 3339, as Unix milliseconds.
  func time(_ name: String) throws(ScopedFailure) -> Int64? {
    guard let text = try one(name) else { return nil }
    guard let time = UTCTime(text) else { throw invalid(name, "an RFC 3339 time") }
    return time.unixMicroseconds / 1000
  }

  /// The list's place to go on at; nil = its beginning.
  func cursor(_ question: [String], _ service: Service) throws(ScopedFailure) -> String? {
    guard let text = try one("cursor") else { return nil }
    guard let cursor = Cursor(text, question, service) else { throw refusedCursor }
    return cursor.position
  }

  var refusedCursor: ScopedFailure { invalid("cursor", "the cursor of an earlier answer to the same question") }

  /// Everything that makes the answer what it is: the place in the list aside.
  func question(_ call: Call) -> [String] {
    [call.caller.tenant, call.caller.keyID, call.request.target.rawPath]
      + parameters.filter { $0.name != "cursor" && $0.name != "limit" }.flatMap { [$0.name, $0.value] }
  }

  func filter() throws(ScopedFailure) -> SecretFilter {
    var filter = SecretFilter()
    filter.category = try one("category")
    filter.tags = list("tag")
    filter.text = try one("q")
    filter.fieldKey = try one("fieldKey")
    filter.updatedSince = try time("updatedSince")
    return filter
  }

  func effective() throws(ScopedFailure) -> EffectiveQuestion {
    var question = EffectiveQuestion()
    let (project, team) = (try one("projectId"), try one("teamId"))
    guard [project, team].allSatisfy({ $0.map(Scope.isID) ?? true }) else { throw invalid("projectId", "an id") }
    if let project { question.context = .project(project) } else if let team { question.context = .team(team) }
    switch try one("tie") {
    case nil: break
    case "recent": question.prefersRecent = true
    default: throw invalid("tie", "recent")
    }
    return question
  }

  private func invalid(_ name: String, _ rule: StaticString) -> ScopedFailure { ScopedFailure(.invalid("/query/" + name, rule)) }

  private static func integer(_ text: String) -> Int64? {
    guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int64(text)
  }

  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(0x20)
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else { return nil }
        bytes.append(high << 4 | low)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}
