internal import Configuration
internal import HTTPClient
internal import SecretMemory
internal import StrictJSON

/// The scoped dialect as an agent's program calls it.
struct AgentClient {
  let base: String
  let key: SecretBytes
  let trustedCertificates: String?

  /// A successful answer: its JSON, and its bytes for the members that are secret.
  struct Answer {
    let body: SecretBytes
    /// The whole object, `data` with what stands beside it.
    let object: JSONObject
    let entityTag: String?

    var data: JSONObject { object["data"]?.object ?? JSONObject() }
    var list: [JSONObject] { (object["data"]?.array ?? []).compactMap(\.object) }
  }

  func get(_ path: String) throws -> Answer { try send("GET", path) }

  func send(_ method: StaticString, _ path: String, _ body: JSONValue? = nil, fields: [(name: String, value: String)] = []) throws -> Answer
  {
    var bytes = body?.serialized()
    defer { if bytes != nil { erase(&bytes!) } }
    return try send(method, path, body: bytes.map { SecretBytes(copying: $0) }, fields: fields)
  }

  /// A change that its user wants whatever is stored: where the tenant demands a condition, that something is.
  func change(_ method: StaticString, _ path: String, _ body: JSONValue? = nil) throws -> Answer {
    do { return try send(method, path, body) } catch let failure as AgentFailure where failure.code == "precondition_required" {
      return try send(method, path, body, fields: [("If-Match", "*")])
    }
  }

  /// - Throws: `AgentFailure` for everything but a 2xx.
  func send(_ method: StaticString, _ path: String, body: SecretBytes?, fields: [(name: String, value: String)] = []) throws -> Answer {
    let options = HTTPClient.Options(trustedCertificates: trustedCertificates, usesProxy: true)
    var request = HTTPRequest(method, base + path, fields: [("User-Agent", "coffer/\(Release.version)")] + fields, body: body)
    request.secretFields = [HTTPRequest.bearer(key)]
    if body != nil { request.fields.append(("Content-Type", "application/json")) }
    let reply: HTTPReply
    do throws(HTTPFailure) { reply = try HTTPClient(options).send(request) } catch { throw AgentFailure(.server, text(of: error)) }
    let limits = JSONLimits(bytes: 4 << 20, depth: 32, members: 200_000)
    let object = try? reply.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) }.object
    guard (200..<300).contains(reply.status) else { throw AgentFailure(status: reply.status, object ?? JSONObject()) }
    guard let object else { throw AgentFailure(.server, "\(base) answered \(reply.status) without JSON; is it a Coffer server?") }
    return Answer(body: reply.body, object: object, entityTag: reply.field("etag"))
  }

  private func text(of failure: HTTPFailure) -> String {
    switch failure {
    case .invalidRequest: "the address or the key cannot be sent as it is; is the key whole?"
    case .unreachable: "\(base) cannot be reached"
    case .notTrusted: "the certificate of \(base) is not trusted; name its issuer with --cacert"
    case .timedOut: "\(base) did not answer in time"
    case .cutOff: "\(base) ended the connection before its answer was whole"
    case .tooLarge: "the answer of \(base) is too long"
    case .unusable: "libcurl cannot be used"
    }
  }
}

extension AgentFailure {
  /// From an error answer (scoped spec, sections 1.3 and 9).
  init(status: Int, _ body: JSONObject) {
    let kind: Kind =
      switch status {
      case 401: .notAuthenticated
      case 403: .forbidden
      case 404: .notFound
      case 409, 412, 428: .conflict
      case 429: .rateLimited
      case 400, 413, 415, 422: .usage
      default: .server
      }
    let text = body["message"]?.string?.text ?? body["detail"]?.string?.text ?? "the server answered \(status)"
    self.init(
      kind, text, code: body["code"]?.string?.text ?? "", entityTag: body["details"]?.object?["currentETag"]?.string?.text)
  }
}

/// Standard output of the agents' commands.
enum Output {
  static func line(_ object: JSONObject) { print(String(decoding: JSONValue.object(object).serialized(), as: UTF8.self)) }

  /// Columns with two blanks between them.
  static func columns(_ parts: [String]) { print(parts.joined(separator: "  ")) }
}
