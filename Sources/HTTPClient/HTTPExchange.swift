package import SecretMemory

/// One request to another server.
package struct HTTPRequest: Sendable {
  package var method: StaticString
  /// Absolute, `http` or `https`.
  package var url: String
  /// Plain fields; names and values hold visible ASCII and blanks only, others are refused.
  package var fields: [(name: String, value: String)]
  /// Fields whose value is a credential: kept apart so that their copies are erased.
  package var secretFields: [(name: String, value: SecretBytes)]
  /// nil sends none.
  package var body: SecretBytes?

  package init(
    _ method: StaticString, _ url: String, fields: [(name: String, value: String)] = [],
    secretFields: [(name: String, value: SecretBytes)] = [], body: SecretBytes? = nil
  ) {
    self.method = method
    self.url = url
    self.fields = fields
    self.secretFields = secretFields
    self.body = body
  }

  /// The field of a bearer token (RFC 6750, section 2.1).
  package static func bearer(_ token: SecretBytes) -> (name: String, value: SecretBytes) {
    var value = Array("Bearer ".utf8) + token.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    defer { erase(&value) }
    return ("Authorization", SecretBytes(copying: value))
  }
}

/// What the other server answered, whatever its status.
package struct HTTPReply: Sendable {
  package let status: Int
  /// In the order of arrival, names in lower case. Of several heads (100, then 200) the last.
  package let fields: [(name: String, value: String)]
  /// May hold plaintext: erased on last release.
  package let body: SecretBytes

  /// The first field of that name, which must be in lower case.
  package func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
}

/// Why there is no answer. None carries a header or a body.
package enum HTTPFailure: Error, Sendable, Equatable {
  /// The URL or a field cannot be sent as it is.
  case invalidRequest
  /// The name does not resolve, or nothing takes the connection.
  case unreachable
  /// The certificate is not trusted, is for another name, or the two have no protocol in common.
  case notTrusted
  case timedOut
  /// The connection ended in the middle, or what came is no HTTP.
  case cutOff
  case tooLarge
  /// libcurl cannot work at all.
  case unusable
}
