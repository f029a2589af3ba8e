internal import Gateway
internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// What a client gets of the agent server's answer: the answer itself, without any secret that was opened for it.
struct AgentServerAnswer {
  let response: Response
  /// What was asked for did not happen, for certain.
  let isInVain: Bool

  private static let limits = JSONLimits(bytes: 8 << 20, depth: 256, members: 1_000_000)

  /// - Parameter isStart: 200 then means that the conversation was there already and the request was not looked at.
  init(
    _ result: Result<GatewayReply, GatewayFailure>, _ gateway: Gateway, for request: DepartingRequest? = nil,
    isStart: Bool = false
  ) {
    switch result {
    case .failure(let failure):
      response = Self.response(failure, deadline: gateway.server.deadline)
      isInVain = failure == .busy || failure == .unreachable || failure == .notSent
    case .success(let reply):
      response = Self.response(reply, for: request)
      isInVain = reply.status >= 400 || (isStart && reply.status == 200)
    }
  }

  private static func response(_ failure: GatewayFailure, deadline: Int) -> Response {
    switch failure {
    case .busy: Failure.server(503, "Too many requests wait for the agent server; nothing was sent to it, try again")
    case .unreachable: Failure.server(502, "The agent server cannot be reached; nothing was sent to it")
    case .timedOut:
      Failure.server(504, "The agent server did not answer within \(deadline) seconds; whether it did what was asked is not known")
    case .garbled: Failure.server(502, "The agent server's answer broke off or is no HTTP; whether it did what was asked is not known")
    case .tooLarge: Failure.server(502, "The agent server's answer is too large; whether it did what was asked is not known")
    case .notSent: Failure.server(500, "The request cannot be sent to the agent server as it is")
    }
  }

  private static func response(_ reply: GatewayReply, for request: DepartingRequest?) -> Response {
    guard (200..<300).contains(reply.status) || (400..<600).contains(reply.status) else {
      return Failure.server(502, "The agent server answered \(reply.status), which is no answer to this request")
    }
    if reply.body.isEmpty { return Response(status: Status(reply.status)) }
    let parsed = try? reply.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: limits) }
    guard reply.mediaType == "application/json", var body = parsed else {
      return Failure.server(502, "The agent server answered \(reply.status) with something that is no JSON")
    }
    if reply.status >= 400 {
      body = SecretScreen(request?.secrets ?? []).applied(to: withoutInput(body))
    } else if let request {
      body = SecretScreen(request.opened).applied(to: body)
      if var object = body.object, let launched = request.launchedProfile, object["launched_agent_profile"] != nil {
        object["launched_agent_profile"] = launched
        body = .object(object)
      }
    }
    return Failure.body(Status(reply.status), body)
  }

  /// The entries of a 422 do not repeat what was sent (D5).
  private static func withoutInput(_ body: JSONValue) -> JSONValue {
    guard var object = body.object, let entries = object["detail"]?.array else { return body }
    object["detail"] = .array(
      entries.map { entry in
        guard var entry = entry.object else { return entry }
        entry["input"] = nil
        return .object(entry)
      })
    return .object(object)
  }
}

/// Puts the mask in the place of secrets in another server's text.
struct SecretScreen {
  /// Shorter texts are masked where they are the whole of a string only: they occur by chance.
  private static let searched = 8

  private let short: Set<JSONString>
  /// By their first eight bytes, so that a long answer costs one walk however many secrets there are.
  private let long: [UInt64: [[UInt8]]]

  init(_ secrets: [JSONString]) {
    short = Set(secrets.filter { !$0.utf8.isEmpty && $0.utf8.count < Self.searched })
    long = Dictionary(
      grouping: Set(secrets.filter { $0.utf8.count >= Self.searched }).map(\.utf8).sorted { $0.count > $1.count },
      by: { Self.head($0[...]) })
  }

  func applied(to value: JSONValue) -> JSONValue {
    if short.isEmpty && long.isEmpty { return value }
    switch value {
    case .string(let text): return .string(masked(text))
    case .array(let elements): return .array(elements.map(applied))
    case .object(let object):
      return .object(JSONObject(uniqueMembers: object.members.map { .init(name: $0.name, value: applied(to: $0.value)) }))
    case .null, .bool, .number: return value
    }
  }

  private func masked(_ text: JSONString) -> JSONString {
    if short.contains(text) { return Redaction.mask }
    guard !long.isEmpty, text.utf8.count >= Self.searched else { return text }
    let bytes = text.utf8
    var result: [UInt8] = []
    var kept = 0
    var index = 0
    while index + Self.searched <= bytes.count {
      if let found = long[Self.head(bytes[index...])]?.first(where: { bytes[index...].starts(with: $0) }) {
        result += bytes[kept..<index] + Redaction.mask.utf8
        index += found.count
        kept = index
      } else {
        index += 1
      }
    }
    return kept == 0 ? text : JSONString(utf8: result + bytes[kept...])
  }

  private static func head(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.prefix(searched).reduce(0) { $0 << 8 | UInt64($1) } }
}
