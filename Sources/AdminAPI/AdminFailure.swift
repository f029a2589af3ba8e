internal import HTTPMessages
internal import Service
internal import StrictJSON

/// Why the operator surface refuses (scoped spec, section 1.3). `code` is what programs read.
enum AdminFailure: Error {
  case service(ServiceError)
  case noRoute
  case methodNotAllowed(allow: String)
  case mediaType
  case malformedJSON(offset: Int)
  /// Names a member or parameter and the rule it breaks, never its value.
  case invalid(String)
  case verificationRuns
  case backup(BackupError, path: String)

  var status: Int {
    switch self {
    case .service(let error): Self.status(of: error)
    case .noRoute: 404
    case .methodNotAllowed: 405
    case .mediaType: 415
    case .malformedJSON, .invalid: 400
    case .verificationRuns: 409
    case .backup(let error, _): Self.status(of: error)
    }
  }

  var code: StaticString {
    switch self {
    case .service(let error): Self.code(of: error)
    case .noRoute: "not_found"
    case .methodNotAllowed: "method_not_allowed"
    case .mediaType: "unsupported_media_type"
    case .malformedJSON: "invalid_json"
    case .invalid: "validation_error"
    case .verificationRuns: "conflict"
    case .backup(let error, _): Self.code(of: error)
    }
  }

  var message: String {
    switch self {
    case .service(let error): Self.text(of: error)
    case .noRoute: "There is no such route."
    case .methodNotAllowed: "The route does not have this method."
    case .mediaType: "The body must be sent as application/json."
    case .malformedJSON(let offset): "The body is no JSON from byte \(offset) on."
    case .invalid(let rule): rule
    case .verificationRuns: "A verification runs already; wait for its answer."
    case .backup(let error, let path): error.message(path)
    }
  }

  private static func status(of error: BackupError) -> Int {
    switch error {
    case .exists, .busy: 409
    case .notAFile, .notABackup, .otherRootKey, .damaged, .newerSchema, .notWritable: 400
    case .diskFull: 507
    case .unavailable, .storeDamaged: 503
    }
  }

  private static func code(of error: BackupError) -> StaticString {
    switch error {
    case .exists, .busy: "conflict"
    case .notAFile, .notABackup, .otherRootKey, .damaged, .newerSchema, .notWritable: "validation_error"
    case .diskFull: "storage_full"
    case .unavailable: "unavailable"
    case .storeDamaged: "corrupt"
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
    case .unreadable, .unavailable, .busy: 503
    case .storageFull: 507
    case .internalFailure: 500
    }
  }

  private static func code(of error: ServiceError) -> StaticString {
    switch error {
    case .unauthenticated: "unauthenticated"
    case .forbidden: "forbidden"
    case .notFound, .absent: "not_found"
    case .taken, .limitReached, .referenced: "conflict"
    case .invalidSecretName, .invalidBody, .invalidSettings, .tokensDoNotOpen, .danglingConnection, .emptyChange, .keyNotClearable,
      .invalidAgentProfile, .unusableAgentProfile:
      "validation_error"
    case .valueTooLong: "content_too_large"
    case .preconditionFailed: "precondition_failed"
    case .conflict, .obstructed: "conflict"
    case .unreadable: "corrupt"
    case .unavailable: "unavailable"
    case .busy: "busy"
    case .storageFull: "storage_full"
    case .internalFailure: "internal_error"
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
    let body: JSONValue = [
      "message": .string(JSONString(message)), "code": .string(JSONString(stringLiteral: code)), "status": .number(JSONNumber(status)),
      "requestId": .string(JSONString(request.id)), "timestamp": .string(JSONString(time)),
    ]
    return Response(status: Status(status), contentType: "application/json", headers: headers, body: .bytes(body.serialized()))
  }
}
