/// Reason phrases (RFC 9110, section 15) of the statuses Coffer sends.
package enum StatusText {
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
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
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
    var text = "Status: \(status.code) \(StatusText.reason(status.code))\r\n"
    if let contentType { text += "Content-Type: \(contentType)\r\n" }
    if status.code != 304 { text += "Content-Length: \(body.count)\r\n" }
    text += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: \(requestID)\r\n"
    for (name, value) in headers where value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { text += "\(name): \(value)\r\n" }
    text += "\r\n"
    return Array(text.utf8)
  }
}
