package import SecretMemory

package enum HTTPMethod: String, Sendable, CaseIterable {
  case get = "GET"
  case head = "HEAD"
  case options = "OPTIONS"
  case put = "PUT"
  case post = "POST"
  case patch = "PATCH"
  case delete = "DELETE"
  /// Any other token; never routed.
  case other = ""
}

/// The header fields Coffer reads. nginx passes these and no others.
package enum HeaderName: Int, Sendable, CaseIterable {
  case sessionKey, authorization, exposeSecrets, ifMatch, ifNoneMatch, idempotencyKey, origin
  case accessControlRequestMethod, accessControlRequestHeaders, contentType, requestID
}

/// Who sent the request, as the socket tells and not as the client says.
package struct Peer: Sendable, Equatable {
  /// REMOTE_ADDR: the client as nginx saw it. Never a reason to trust.
  package var address: String
  /// True on the control socket, where the peer's uid was checked.
  package var isLocalOperator: Bool
  package init(address: String, isLocalOperator: Bool) {
    self.address = address
    self.isLocalOperator = isLocalOperator
  }
}

/// One request as a value.
package struct Request: Sendable {
  package var method: HTTPMethod
  package var target: RequestTarget
  /// "https" or "http", as nginx's `$scheme`.
  package var scheme: String
  /// The Host header; nginx has refused foreign hosts.
  package var host: String
  package var headers: [[UInt8]?]
  /// Erased on last release.
  package var body: SecretBytes
  package var peer: Peer
  package var id: String
  /// nginx has said that it sends this request on to the agent server when told so.
  package var isRelayable = false

  package init(
    method: HTTPMethod, target: RequestTarget, scheme: String = "https", host: String = "localhost",
    headers: [HeaderName: [UInt8]] = [:], body: SecretBytes = SecretBytes(),
    peer: Peer = Peer(address: "127.0.0.1", isLocalOperator: false), id: String
  ) {
    self.method = method
    self.target = target
    self.scheme = scheme
    self.host = host
    self.headers = [[UInt8]?](repeating: nil, count: HeaderName.allCases.count)
    for (name, value) in headers { self.headers[name.rawValue] = value }
    self.body = body
    self.peer = peer
    self.id = id
  }

  /// The credential of `Authorization: Bearer` (RFC 6750, section 2.1); the scheme's name in any case (RFC 9110, section 11.1).
  package var bearerToken: [UInt8]? {
    guard let field = self[.authorization], field.count > 7, field[6] == 0x20,
      zip(field[..<6], "bearer".utf8).allSatisfy({ $0 | 0x20 == $1 })
    else { return nil }
    return Array(field[7...].drop { $0 == 0x20 })
  }

  package subscript(name: HeaderName) -> [UInt8]? {
    get { headers[name.rawValue] }
    set { headers[name.rawValue] = newValue }
  }
}

/// Why a request is answered before any route sees it.
package enum RequestRefusal: Error, Sendable, Equatable {
  /// The raw path does not decode, or decodes to something nginx judged differently.
  case invalidPath
  /// A parameter is missing, repeated, or outside its grammar.
  case invalidRequest
  /// Fewer or more body bytes than CONTENT_LENGTH said.
  case incompleteBody
  case bodyTooLarge
  case headerTooLarge
}
