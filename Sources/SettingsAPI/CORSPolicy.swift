internal import HTTPMessages

/// Which browser origins may read answers (spec section 1.3). A disallowed origin is served all the same:
/// the browser keeps the answer from the page, and no access rule rests on it.
package struct CORSPolicy: Sendable {
  private static let localHosts = ["localhost", "127.0.0.1"]
  private static let methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

  private let origins: Set<String>
  private let hosts: [String]
  private let matchesPattern: (@Sendable (String) -> Bool)?

  /// - Parameters:
  ///   - origins: whole origins, compared exactly.
  ///   - dockerHost: one more host allowed with any scheme and port.
  ///   - matchesPattern: a full match against the configured expression.
  package init(origins: [String] = [], dockerHost: String? = nil, matchesPattern: (@Sendable (String) -> Bool)? = nil) {
    self.origins = Set(origins)
    hosts = Self.localHosts + (dockerHost.map { [$0] } ?? [])
    self.matchesPattern = matchesPattern
  }

  func allows(_ origin: String) -> Bool {
    if origin == "null" { return false }
    if origins.contains(origin) { return true }
    if let host = Self.host(of: origin), hosts.contains(host) { return true }
    return matchesPattern?(origin) ?? false
  }

  /// The host between `://` and an optional port, in lower case; nil when the text is not an origin.
  private static func host(of origin: String) -> String? {
    let bytes = Array(origin.utf8)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0, bytes.count > colon + 3,
      bytes[colon + 1] == UInt8(ascii: "/"), bytes[colon + 2] == UInt8(ascii: "/")
    else { return nil }
    let rest = bytes[(colon + 3)...]
    let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
    guard rest[end...].dropFirst().allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return String(decoding: rest[..<end], as: UTF8.self).lowercased()
  }

  /// The answer to a preflight, or nil when the request is none.
  func preflight(_ request: Request) -> Response? {
    guard request.method == .options, let origin = request.visible(.origin), let method = request.visible(.accessControlRequestMethod)
    else { return nil }
    var headers: [(name: StaticString, value: String)] = [
      ("Access-Control-Allow-Methods", Self.methods), ("Access-Control-Max-Age", "600"),
      ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin"),
    ]
    if let wanted = request.visible(.accessControlRequestHeaders) { headers.append(("Access-Control-Allow-Headers", wanted)) }
    var refused: [String] = []
    if allows(origin) { headers.append(("Access-Control-Allow-Origin", origin)) } else { refused.append("origin") }
    if HTTPMethod(rawValue: method) == nil || method.isEmpty { refused.append("method") }
    let text = refused.isEmpty ? "OK" : "Disallowed CORS " + refused.joined(separator: ", ")
    return Response(
      status: refused.isEmpty ? .ok : .badRequest, contentType: MediaType.text, headers: headers, body: .bytes(Array(text.utf8)))
  }

  /// `response` with the fields that an actual request with an Origin gets.
  func decorate(_ response: Response, for request: Request) -> Response {
    guard let origin = request.visible(.origin) else { return response }
    var response = response
    response.headers.append(("Access-Control-Allow-Credentials", "true"))
    if allows(origin) {
      response.headers.append(("Access-Control-Allow-Origin", origin))
      response.headers.append(("Vary", "Origin"))
    }
    return response
  }
}

extension Request {
  /// A header's text when it is present, not empty and holds visible ASCII and blanks only; such text may be sent back.
  func visible(_ name: HeaderName) -> String? {
    guard let bytes = self[name], !bytes.isEmpty, bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
