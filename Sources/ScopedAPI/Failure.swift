internal import HTTPMessages
internal import Model
internal import StrictJSON

/// Refusals as they leave (scoped spec, sections 1.3 and 9). `ErrorCode` holds the one mapping to a status.
enum Failure {
  static func response(_ refusal: Refusal, _ request: Request, at now: Int64, headers: [(name: StaticString, value: String)] = [])
    -> Response
  {
    var headers = headers
    switch refusal.code.status {
    case 401: headers.append(("WWW-Authenticate", "Bearer"))
    default: break
    }
    if let seconds = refusal.retryAfter { headers.append(("Retry-After", String(seconds))) }
    var body = JSONObject()
    body["message"] = .string(JSONString(stringLiteral: refusal.code.message))
    body["code"] = .string(JSONString(refusal.code.rawValue))
    body["status"] = .number(JSONNumber(refusal.code.status))
    if let details = refusal.details { body["details"] = .object(details) }
    body["requestId"] = .string(JSONString(request.id))
    body["timestamp"] = Wire.time(now)
    return Response(
      status: Status(refusal.code.status), contentType: Wire.json, headers: headers, body: .bytes(JSONValue.object(body).serialized()))
  }
}
