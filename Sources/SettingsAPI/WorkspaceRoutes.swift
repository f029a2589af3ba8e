internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// `/api/workspaces` (spec section 9.4).
extension SettingsAPI {
  func workspaces(_ principal: Principal) throws(ServiceError) -> Answer { .now(json(try desk.workspaces(for: principal).json)) }

  func addWorkspaces(_ list: Workspaces.List, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    return try withBody(request) { body throws(ServiceError) in
      let additions: [JSONValue]
      do throws(BodyError) { additions = try Workspaces.additions(body, to: list) } catch { throw .invalidBody(error.issues) }
      return self.writing(request) { service, _, id, send in
        service.addWorkspaces(additions, to: list, for: principal, requestID: id) { result in
          send(result.map { Failure.body(.ok, $0.json) })
        }
      }
    }
  }

  func removeWorkspace(_ list: Workspaces.List, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    guard let path = Self.queryValue("path", in: request.target.rawQuery) else { throw .invalidBody([.missing(["query", "path"])]) }
    return writing(request) { service, _, id, send in
      service.removeWorkspace(path, from: list, for: principal, requestID: id) { result in
        send(result.map { _ in Failure.body(.ok, ["deleted": true]) })
      }
    }
  }

  /// The last value of a parameter, decoded as a form (WHATWG URL, section 5.1): `+` is a blank. nil when absent.
  static func queryValue(_ name: String, in query: String) -> JSONString? {
    var found: JSONString?
    for part in query.utf8.split(separator: UInt8(ascii: "&")) {
      let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = pair.first, formDecoded(first).elementsEqual(name.utf8) else { continue }
      // What is no UTF-8 is repaired: it is found nowhere.
      found = JSONString(String(decoding: pair.count > 1 ? formDecoded(pair[1]) : [], as: UTF8.self))
    }
    return found
  }

  private static func formDecoded(_ text: Substring.UTF8View) -> [UInt8] {
    var result: [UInt8] = []
    var bytes = Array(text)[...]
    while let byte = bytes.popFirst() {
      if byte == UInt8(ascii: "+") {
        result.append(0x20)
      } else if byte == UInt8(ascii: "%"), bytes.count >= 2,
        let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
      {
        result.append(value)
        bytes = bytes.dropFirst(2)
      } else {
        result.append(byte)
      }
    }
    return result
  }
}
