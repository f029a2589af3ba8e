/// What is sent: parameters in their order, and the body.
package struct FastCGIRequest: Sendable {
  package var parameters: [(name: String, value: [UInt8])]
  package var body: [UInt8]

  package init(parameters: [(name: String, value: [UInt8])], body: [UInt8] = []) {
    self.parameters = parameters
    self.body = body
  }

  /// The parameters nginx sends for a request without headers.
  package init(method: String, uri: String, contentType: String? = nil, body: [UInt8] = []) {
    let path = uri.prefix { $0 != "?" }
    self.init(
      parameters: [
        ("REQUEST_METHOD", Array(method.utf8)), ("REQUEST_URI", Array(uri.utf8)), ("DOCUMENT_URI", Array(path.utf8)),
        ("CONTENT_LENGTH", Array(String(body.count).utf8)), ("CONTENT_TYPE", Array((contentType ?? "").utf8)),
        ("REQUEST_SCHEME", Array("http".utf8)), ("HTTP_HOST", Array("localhost".utf8)), ("REMOTE_ADDR", Array("127.0.0.1".utf8)),
        ("SERVER_PROTOCOL", Array("HTTP/1.1".utf8)),
      ], body: body)
  }

  /// BEGIN_REQUEST, PARAMS and STDIN with their empty ends (FastCGI 1.0, sections 5.1 to 5.3).
  package var records: [UInt8] {
    // Role 1 (responder), flags 0: the responder closes when it has answered.
    var bytes = Record.framed(.beginRequest, [0, 1, 0, 0, 0, 0, 0, 0])
    var block: [UInt8] = []
    for (name, value) in parameters {
      block += Record.length(name.utf8.count) + Record.length(value.count) + Array(name.utf8) + value
    }
    bytes += Record.stream(.parameters, block) + Record.stream(.input, body)
    return bytes
  }
}

/// What came back: the CGI answer (RFC 3875, section 6).
package struct FastCGIReply: Sendable {
  package let status: Int
  /// In their order, names as sent.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]
  /// What the responder wrote to the error stream.
  package let errors: [UInt8]

  /// STDOUT with its empty end, and END_REQUEST with status 0 (sections 5.3 and 5.5), for request id 1.
  package static func records(_ output: [UInt8]) -> [UInt8] {
    Record.stream(.output, output) + Record.framed(.endRequest, [0, 0, 0, 0, 0, 0, 0, 0])
  }

  /// The first value of a field, names compared without case.
  package subscript(name: String) -> String? {
    headers.first { $0.name.lowercased() == name.lowercased() }?.value
  }
}

/// Records of FastCGI 1.0, section 3.3.
enum Record {
  enum Kind: UInt8 { case beginRequest = 1, endRequest = 3, parameters, input, output, errors }

  static let headerBytes = 8
  private static let longest = 65535

  /// One record; `content` holds at most 65,535 bytes.
  static func framed(_ kind: Kind, _ content: some Collection<UInt8>) -> [UInt8] {
    [1, kind.rawValue, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 0xFF), 0, 0] + content
  }

  /// A stream: as many records as it takes, and an empty one.
  static func stream(_ kind: Kind, _ content: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    var start = 0
    while start < content.count {
      let end = min(content.count, start + longest)
      bytes += framed(kind, content[start..<end])
      start = end
    }
    return bytes + framed(kind, [])
  }

  /// A length of a name or value: one byte up to 127, else four with the first bit set (section 3.4).
  static func length(_ count: Int) -> [UInt8] {
    if count < 128 { return [UInt8(count)] }
    return [UInt8(count >> 24 & 0x7F) | 0x80, UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
  }
}
