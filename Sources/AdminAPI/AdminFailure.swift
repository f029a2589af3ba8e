internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// Why the operator surface refuses (scoped spec, section 1.3). `code` is what programs read.
enum AdminFailure: Error {
  case service(ServiceError)
  /// One of the codes that the scoped dialect has too.
  case refused(Refusal)
  case noRoute
  case methodNotAllowed(allow: String)
  case mediaType
  case malformedJSON(offset: Int)
  /// Names a member or parameter and the rule it breaks, never its value.
  case invalid(String)
  case verificationRuns, countRuns
  case backup(BackupError, path: String)

  var status: Int {
    switch self {
    case .service(let error): Self.status(of: error)
    case .refused(let refusal): refusal.code.status
    case .noRoute: 404
    case .methodNotAllowed: 405
    case .mediaType: 415
    case .malformedJSON, .invalid: 400
    case .verificationRuns, .countRuns: 409
    case .backup(let error, _): Self.status(of: error)
    }
  }

  var code: ErrorCode {
    switch self {
    case .service(let error): Self.code(of: error)
    case .refused(let refusal): refusal.code
    case .noRoute: .notFound
    case .methodNotAllowed: .methodNotAllowed
    case .mediaType: .unsupportedMediaType
    case .malformedJSON: .invalidJSON
    case .invalid: .validationFailed
    case .verificationRuns, .countRuns: .conflict
    case .backup(let error, _): Self.code(of: error)
    }
  }

  private var retryAfter: Int? { if case .refused(let refusal) = self { refusal.retryAfter } else { code.retryAfter } }

  var message: String {
    switch self {
    case .service(let error): Self.text(of: error)
    case .refused(let refusal): "\(refusal.code.message)"
    case .noRoute: "There is no such route."
    case .methodNotAllowed: "The route does not have this method."
    case .mediaType: "The body must be sent as application/json."
    case .malformedJSON(let offset): "The body is no JSON from byte \(offset) on."
    case .invalid(let rule): rule
    case .countRuns: "Rows are being counted already; wait for that answer."
    case .verificationRuns: "A verification runs already; wait for its answer."
    case .backup(let error, let path): error.message(path)
    }
  }

  private static func status(of error: BackupError) -> Int {
    switch error {
    case .exists, .busy: 409
    case .notAFile, .notABackup, .otherRootKey, .damaged, .newerSchema, .notWritable: 400
    case .diskFull: 503
    case .unavailable, .storeDamaged: 503
    }
  }

  private static func code(of error: BackupError) -> ErrorCode {
    switch error {
    case .exists, .busy: .conflict
    case .notAFile, .notABackup, .otherRootKey, .damaged, .newerSchema, .notWritable: .validationFailed
    case .diskFull: .unavailable
    case .unavailable: .unavailable
    case .storeDamaged: .unavailable
    }
  }

  private static func status(of error: ServiceError) -> Int {
    switch error {
    case .unauthenticated: 401
    case .forbidden: 403
    case .notFound, .absent: 404
    case .taken, .limitReached, .referenced: 409
    case .invalidSecretName, .invalidBody, .invalidSettings, .tokensDoNotOpen, .danglingConnection, .emptyChange, .keyNotClearable,
      .invalidAgentProfile, .unusableAgentProfile:
      400
    case .valueTooLong: 413
    case .preconditionFailed: 412
    case .conflict, .obstructed: 409
    case .sealed, .unreadable, .unavailable, .busy: 503
    case .storageFull: 503
    case .internalFailure: 500
    }
  }

  private static func code(of error: ServiceError) -> ErrorCode {
    switch error {
    case .unauthenticated: .unauthenticated
    case .forbidden: .capabilityMissing
    case .notFound, .absent: .notFound
    case .taken, .limitReached, .referenced: .conflict
    case .invalidSecretName, .invalidBody, .invalidSettings, .tokensDoNotOpen, .danglingConnection, .emptyChange, .keyNotClearable,
      .invalidAgentProfile, .unusableAgentProfile:
      .validationFailed
    case .valueTooLong: .bodyTooLarge
    case .preconditionFailed: .preconditionFailed
    case .obstructed(.keyHasEnded): .keyEnded
    case .conflict, .obstructed: .conflict
    case .sealed: .sealed
    case .unreadable: .unavailable
    case .unavailable: .unavailable
    case .busy: .unavailable
    case .storageFull: .unavailable
    case .internalFailure: .internalError
    }
  }

  private static func text(of error: ServiceError) -> String {
    switch error {
    case .unauthenticated: "An admin key is needed: Authorization: Bearer adk_…"
    case .forbidden: "This key may not do that."
    case .notFound, .absent: "There is no such thing."
    case .taken, .limitReached, .referenced: "It is taken, in use, or one too many."
    case .invalidSecretName, .invalidBody, .invalidSettings, .tokensDoNotOpen, .danglingConnection, .emptyChange, .keyNotClearable,
      .invalidAgentProfile, .unusableAgentProfile:
      "The request is not valid."
    case .valueTooLong: "The value is too long."
    case .preconditionFailed: "The stored version is another one."
    case .conflict: "The name or id is taken."
    case .obstructed(let obstacle): obstacle.text
    case .sealed: "The server is sealed: its root key was dropped. On its host: coffer unseal"
    case .unreadable: "A stored row is damaged or was changed outside Coffer."
    case .unavailable: "The store cannot be used now."
    case .busy: "Too many writes wait; try again."
    case .storageFull: "The disk is full; nothing was changed."
    case .internalFailure: "An internal operation failed."
    }
  }

  func response(for request: Request, at time: String) -> Response {
    var headers: [(name: StaticString, value: String)] = []
    if case .methodNotAllowed(let allow) = self { headers.append(("Allow", allow)) }
    if status == 401 { headers.append(("WWW-Authenticate", "Bearer")) }
    if let seconds = retryAfter { headers.append(("Retry-After", String(seconds))) }
    var body = JSONObject()
    body["message"] = .string(JSONString(message))
    body["code"] = .string(JSONString(code.rawValue))
    body["status"] = .number(JSONNumber(status))
    if case .refused(let refusal) = self, let details = refusal.details { body["details"] = .object(details) }
    body["requestId"] = .string(JSONString(request.id))
    body["timestamp"] = .string(JSONString(time))
    return Response(
      status: Status(status), contentType: "application/json", headers: headers, body: .bytes(JSONValue.object(body).serialized()))
  }
}
