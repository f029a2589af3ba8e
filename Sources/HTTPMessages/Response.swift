package import SecretMemory

package struct Status: Sendable, Hashable {
  package let code: Int
  package init(_ code: Int) { self.code = code }
}

package enum ResponseBody: Sendable {
  case empty
  case bytes([UInt8])
  /// Plaintext: erased once it was sent.
  case secret(SecretBytes)

  package var count: Int {
    switch self {
    case .empty: 0
    case .bytes(let bytes): bytes.count
    case .secret(let bytes): bytes.count
    }
  }
}

/// One answer as a value. `Content-Length`, `Cache-Control: no-store`, `X-Content-Type-Options: nosniff`
/// and `X-Request-Id` are added to every answer when it is framed.
package struct Response: Sendable {
  package var status: Status
  package var contentType: StaticString?
  /// Further fields. Names are constants; values hold visible ASCII only (checked when framed).
  package var headers: [(name: StaticString, value: String)]
  package var body: ResponseBody

  package init(
    status: Status, contentType: StaticString? = nil, headers: [(name: StaticString, value: String)] = [], body: ResponseBody = .empty
  ) {
    self.status = status
    self.contentType = contentType
    self.headers = headers
    self.body = body
  }
}
