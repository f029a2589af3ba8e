/// Reason phrases (RFC 9110, section 15) of the statuses Coffer sends.
package enum StatusText {
  /// The statuses that have a phrase here.
  package static let codes = [
    200, 201, 204, 304, 307, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, 431, 500, 501, 502, 503, 504, 507,
  ]

  package static func reason(_ code: Int) -> String {
    switch code {
    case 200: "OK"
    case 201: "Created"
    case 204: "No Content"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 409: "Conflict"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 415: "Unsupported Media Type"
    case 422: "Unprocessable Content"
    case 428: "Precondition Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 507: "Insufficient Storage"
    default: "Status"
    }
  }
}

extension Response {
  /// The CGI head (RFC 3875, section 6.3) with the fields every answer has, up to and including the empty line.
  ///
  /// A field whose value holds anything but visible ASCII and blanks is left out: no byte of a client or of the store can
  /// start a line of its own.
  package func head(requestID: String) -> [UInt8] {
    var head: [UInt8] = []
    head.reserveCapacity(512)
    appendHead(requestID: requestID, to: &head)
    return head
  }

  /// As `head`, behind what `bytes` holds already.
  package func appendHead(requestID: String, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: "Status: ".utf8)
    bytes.append(contentsOf: String(status.code).utf8)
    bytes.append(UInt8(ascii: " "))
    bytes.append(contentsOf: StatusText.reason(status.code).utf8)
    if let contentType {
      bytes.append(contentsOf: "\r\nContent-Type: ".utf8)
      bytes.append(text: contentType)
    }
    if status.code != 304 {
      bytes.append(contentsOf: "\r\nContent-Length: ".utf8)
      bytes.append(contentsOf: String(body.count).utf8)
    }
    bytes.append(contentsOf: "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: ".utf8)
    bytes.append(contentsOf: requestID.utf8)
    for (name, value) in headers where value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
      bytes.append(contentsOf: "\r\n".utf8)
      bytes.append(text: name)
      bytes.append(contentsOf: ": ".utf8)
      bytes.append(contentsOf: value.utf8)
    }
    bytes.append(contentsOf: "\r\n\r\n".utf8)
  }
}

extension [UInt8] {
  fileprivate mutating func append(text: StaticString) {
    unsafe append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
