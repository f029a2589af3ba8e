internal import Glibc
package import SecretMemory

/// From a FastCGI parameter block to a request.
///
/// Parameters come as `NAME=value` byte strings. A name that is used and comes twice is refused, and so is any repeated
/// `HTTP_` name: of two candidates for one header nobody may choose. Everything else that is not in the table is ignored,
/// so that `HTTP_PROXY`, `REMOTE_USER` and the like have no effect.
package struct RequestDecoder {
  /// Bytes of the longest body, unless the listener says otherwise.
  package static let maximumBody = 1 << 20
  /// Bytes of the longest body on the control socket: the operator moves whole folders in and out.
  package static let maximumControlBody = 64 << 20
  /// Bytes of the longest header value.
  package static let maximumHeader = 8 << 10

  /// The values one after the other, and where each lies: an array for each would take as long as all else here.
  private var values: [UInt8] = []
  private var places = [20 of Range<Int>?](repeating: nil)
  private var otherHeaders: [[UInt8]] = []
  private let maximumBody: Int

  private enum Parameter: Int, CaseIterable {
    case method, uri, documentURI, contentLength, contentType, remoteAddress, scheme, host, requestID
    case sessionKey, authorization, exposeSecrets, ifMatch, ifNoneMatch, idempotencyKey, origin
    case accessControlRequestMethod, accessControlRequestHeaders, clientRequestID, relay

    var name: StaticString {
      switch self {
      case .method: "REQUEST_METHOD"
      case .uri: "REQUEST_URI"
      case .documentURI: "DOCUMENT_URI"
      case .contentLength: "CONTENT_LENGTH"
      case .contentType: "CONTENT_TYPE"
      case .remoteAddress: "REMOTE_ADDR"
      case .scheme: "REQUEST_SCHEME"
      case .host: "HTTP_HOST"
      case .requestID: "REQUEST_ID"
      case .sessionKey: "HTTP_X_SESSION_API_KEY"
      case .authorization: "HTTP_AUTHORIZATION"
      case .exposeSecrets: "HTTP_X_EXPOSE_SECRETS"
      case .ifMatch: "HTTP_IF_MATCH"
      case .ifNoneMatch: "HTTP_IF_NONE_MATCH"
      case .idempotencyKey: "HTTP_IDEMPOTENCY_KEY"
      case .origin: "HTTP_ORIGIN"
      case .accessControlRequestMethod: "HTTP_ACCESS_CONTROL_REQUEST_METHOD"
      case .accessControlRequestHeaders: "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"
      case .clientRequestID: "HTTP_X_REQUEST_ID"
      case .relay: "COFFER_RELAY"
      }
    }
  }

  /// The known names by their length in bytes, most requests bring one candidate or none for each parameter; `names` holds those of
  /// a length from its place in `firstOfLength` to that of the next.
  private static let names = Parameter.allCases.sorted { $0.name.utf8CodeUnitCount < $1.name.utf8CodeUnitCount }
  private static let firstOfLength = (0...maximumName + 1).map { length in names.count { $0.name.utf8CodeUnitCount < length } }
  private static let maximumName = Parameter.allCases.map(\.name.utf8CodeUnitCount).max() ?? 0

  private static func known(_ name: Slice<UnsafeRawBufferPointer>) -> Parameter? {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: name)
    guard let start = bytes.baseAddress, bytes.count <= maximumName else { return nil }
    for place in firstOfLength[bytes.count]..<firstOfLength[bytes.count + 1]
    where unsafe memcmp(names[place].name.utf8Start, start, bytes.count) == 0 {
      return names[place]
    }
    return nil
  }

  /// Every parameter that is read, for whoever checks that a front end passes it.
  package static let parameterNames = Parameter.allCases.map { "\($0.name)" }

  /// - Parameter maximumBody: bytes, below 1,000,000,000.
  package init(maximumBody: Int = Self.maximumBody) {
    self.maximumBody = maximumBody
    values.reserveCapacity(512)
  }

  private subscript(parameter: Parameter) -> ArraySlice<UInt8>? { places[parameter.rawValue].map { values[$0] } }

  /// Takes one `NAME=value`.
  package mutating func add(_ parameter: UnsafeRawBufferPointer) throws(RequestRefusal) {
    guard let equals = unsafe parameter.firstIndex(of: UInt8(ascii: "=")) else { throw .invalidRequest }
    let name = unsafe parameter[..<equals]
    if let known = unsafe Self.known(name) {
      guard places[known.rawValue] == nil else { throw .invalidRequest }
      let value = unsafe UnsafeRawBufferPointer(rebasing: parameter[(equals + 1)...])
      guard value.count <= Self.maximumHeader else { throw .headerTooLarge }
      places[known.rawValue] = values.count..<values.count + value.count
      unsafe values.append(contentsOf: value)
      return
    }
    if unsafe name.starts(with: "HTTP_".utf8) {
      let copy = unsafe Array(name)
      guard !otherHeaders.contains(copy), otherHeaders.count < 128 else { throw .invalidRequest }
      otherHeaders.append(copy)
    }
  }

  /// What CONTENT_LENGTH says: nil when it is absent or empty.
  package func announcedBody() throws(RequestRefusal) -> Int? {
    guard let text = self[.contentLength], !text.isEmpty else { return nil }
    guard text.allSatisfy({ (0x30...0x39).contains($0) }) else { throw .invalidRequest }
    // More digits than any accepted length has, leading zeros aside: too large, not an overflow.
    let digits = text.drop { $0 == 0x30 }
    guard digits.count <= 9 else { throw .bodyTooLarge }
    let length = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    guard length <= maximumBody else { throw .bodyTooLarge }
    return length
  }

  /// The request, when the body is as long as announced. Without an announcement (a chunked body that nginx did not
  /// buffer) any length up to the limit is taken.
  package consuming func request(body: SecretBytes, peer isLocalOperator: Bool, freshID: () -> String) throws(RequestRefusal) -> Request {
    guard body.count <= maximumBody else { throw .bodyTooLarge }
    if let announced = try announcedBody() {
      guard body.count == announced else { throw .incompleteBody }
    }
    guard let method = text(.method), let uri = self[.uri] else { throw .invalidRequest }
    let normalised = self[.documentURI].flatMap { $0.isEmpty ? nil : $0 }
    let target = try RequestTarget(parsing: Array(uri), normalised: normalised)
    var request = Request(
      method: HTTPMethod(rawValue: method).flatMap { $0 == .other ? nil : $0 } ?? .other, target: target,
      scheme: text(.scheme) == "http" ? "http" : "https", host: try host(), body: body,
      peer: Peer(address: text(.remoteAddress) ?? "", isLocalOperator: isLocalOperator), id: identifier(freshID))
    request.isRelayable = text(.relay) == "yes"
    for (name, parameter) in Self.headers {
      if let value = self[parameter], !value.isEmpty { request[name] = Array(value) }
    }
    return request
  }

  private static let headers: [(HeaderName, Parameter)] = [
    (.sessionKey, .sessionKey), (.authorization, .authorization), (.exposeSecrets, .exposeSecrets), (.ifMatch, .ifMatch),
    (.ifNoneMatch, .ifNoneMatch), (.idempotencyKey, .idempotencyKey), (.origin, .origin),
    (.accessControlRequestMethod, .accessControlRequestMethod), (.accessControlRequestHeaders, .accessControlRequestHeaders),
    (.contentType, .contentType), (.requestID, .clientRequestID),
  ]

  private func text(_ parameter: Parameter) -> String? {
    self[parameter].map { String(decoding: $0, as: UTF8.self) }
  }

  /// The Host goes into redirects: only what a host and port may hold.
  private func host() throws(RequestRefusal) -> String {
    guard let bytes = self[.host], !bytes.isEmpty else { return "localhost" }
    let allowed = bytes.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
      default: false
      }
    }
    guard allowed else { throw .invalidRequest }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The client's id when it has the documented form, else nginx's, else a fresh one.
  private func identifier(_ fresh: () -> String) -> String {
    for candidate in [Parameter.clientRequestID, .requestID] {
      guard let bytes = self[candidate], (8...64).contains(bytes.count) else { continue }
      let fits = bytes.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
      }
      if fits { return String(decoding: bytes, as: UTF8.self) }
    }
    return fresh()
  }
}
