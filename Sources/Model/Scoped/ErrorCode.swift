package import StrictJSON

/// The codes of the scoped dialect and the operator surface (scoped spec, section 9). A code decides the status.
package enum ErrorCode: String, Sendable, CaseIterable {
  case invalidPath = "invalid_path"
  case invalidJSON = "invalid_json"
  case invalidBase64 = "invalid_base64"
  case validationFailed = "validation_failed"
  case pathBodyMismatch = "path_body_mismatch"
  case duplicateField = "duplicate_field"
  case emptyPatch = "empty_patch"
  case sensitivityMismatch = "sensitivity_mismatch"
  case invalidEnvelope = "invalid_envelope"
  case invalidDataKey = "invalid_data_key"
  case unauthenticated = "unauthenticated"
  case keyExpired = "key_expired"
  case keyRevoked = "key_revoked"
  case wrongKeyKind = "wrong_key_kind"
  case scopeForbidden = "scope_forbidden"
  case capabilityMissing = "capability_missing"
  case plaintextDenied = "plaintext_denied"
  case inviteInvalid = "invite_invalid"
  case notFound = "not_found"
  case secretNotFound = "secret_not_found"
  case fieldNotFound = "field_not_found"
  case versionNotFound = "version_not_found"
  case methodNotAllowed = "method_not_allowed"
  case secretExists = "secret_exists"
  case ambiguousScope = "ambiguous_scope"
  case dataKeyReused = "data_key_reused"
  case dataKeyExpired = "data_key_expired"
  case dataKeyUnbound = "data_key_unbound"
  case fieldNotEncrypted = "field_not_encrypted"
  case sensitivityDowngrade = "sensitivity_downgrade"
  case quotaExceeded = "quota_exceeded"
  case idempotencyInProgress = "idempotency_in_progress"
  /// What is to be deleted holds secrets or projects. Operator surface.
  case inUse = "in_use"
  /// What is to be rotated has ended. Operator surface.
  case keyEnded = "key_ended"
  /// It does not go together with what is stored or runs; the message says what. Operator surface.
  case conflict
  case preconditionFailed = "precondition_failed"
  case bodyTooLarge = "body_too_large"
  case unsupportedMediaType = "unsupported_media_type"
  case idempotencyKeyReused = "idempotency_key_reused"
  case preconditionRequired = "precondition_required"
  case rateLimited = "rate_limited"
  case internalError = "internal"
  case sealed
  case unavailable

  package var status: Int {
    switch self {
    case .invalidPath, .invalidJSON, .invalidBase64, .validationFailed, .pathBodyMismatch, .duplicateField, .emptyPatch,
      .sensitivityMismatch, .invalidEnvelope, .invalidDataKey:
      400
    case .unauthenticated, .keyExpired, .keyRevoked: 401
    case .wrongKeyKind, .scopeForbidden, .capabilityMissing, .plaintextDenied, .inviteInvalid: 403
    case .notFound, .secretNotFound, .fieldNotFound, .versionNotFound: 404
    case .methodNotAllowed: 405
    case .secretExists, .ambiguousScope, .dataKeyReused, .dataKeyExpired, .dataKeyUnbound, .fieldNotEncrypted, .sensitivityDowngrade,
      .quotaExceeded, .idempotencyInProgress, .inUse, .keyEnded, .conflict:
      409
    case .preconditionFailed: 412
    case .bodyTooLarge: 413
    case .unsupportedMediaType: 415
    case .idempotencyKeyReused: 422
    case .preconditionRequired: 428
    case .rateLimited: 429
    case .internalError: 500
    case .sealed, .unavailable: 503
    }
  }

  /// Seconds until it is worth another try; nil where that depends on more than time. A seal waits for a person.
  package var retryAfter: Int? {
    switch self {
    case .sealed: 30
    case .unavailable: 1
    default: nil
    }
  }

  /// For people. Fixed text: nothing of a request is in it.
  package var message: StaticString {
    switch self {
    case .invalidPath: "The path is not valid."
    case .invalidJSON: "The body is not the JSON object that is expected here."
    case .invalidBase64: "A member is not canonical base64 (RFC 4648, section 4, with padding)."
    case .validationFailed: "The request is not valid; details.issues says where."
    case .pathBodyMismatch: "A member of the body differs from the same part of the path."
    case .duplicateField: "A field is listed twice."
    case .emptyPatch: "Nothing to change: give secretName, category or tags."
    case .sensitivityMismatch: "A plaintext field takes a value, an encrypted field an envelope."
    case .invalidEnvelope: "The envelope is not valid."
    case .invalidDataKey: "The wrapped data key does not open for this field."
    case .unauthenticated: "A valid key is needed: Authorization: Bearer KEY"
    case .keyExpired: "The key has expired."
    case .keyRevoked: "The key was revoked."
    case .wrongKeyKind: "This kind of key is not for this route."
    case .scopeForbidden: "The scope cannot be reached with this key."
    case .capabilityMissing: "The key or the role lacks what this needs."
    case .plaintextDenied: "Plaintext fields are switched off for this tenant."
    case .inviteInvalid: "The invite is not valid."
    case .notFound: "There is no such thing."
    case .secretNotFound: "There is no such secret."
    case .fieldNotFound: "There is no such field."
    case .versionNotFound: "There is no such version, or it is no longer kept."
    case .methodNotAllowed: "The route does not have this method."
    case .secretExists: "A different secret has this id; read it, then send If-Match to replace it."
    case .ambiguousScope: "Several scopes of the same rank have this secret; name one, or set priorities."
    case .dataKeyReused: "The data key has sealed something already; a new one is needed."
    case .dataKeyExpired: "The data key is too old; a new one is needed."
    case .dataKeyUnbound: "The data key belongs to no kept version of this field."
    case .fieldNotEncrypted: "The field is not encrypted."
    case .sensitivityDowngrade: "An encrypted field becomes plaintext only with ?allowDowngrade=true."
    case .quotaExceeded: "A quota is used up; details.quota names it."
    case .idempotencyInProgress: "A request with this Idempotency-Key runs; try again."
    case .inUse: "It holds secrets or projects; with cascade they are deleted too."
    case .keyEnded: "The key is revoked or has expired; make a new one."
    case .conflict: "It does not go together with what is stored."
    case .preconditionFailed: "The stored version is another one."
    case .bodyTooLarge: "The body is too long."
    case .unsupportedMediaType: "The body must be sent as application/json."
    case .idempotencyKeyReused: "This Idempotency-Key came with another body before."
    case .preconditionRequired: "This tenant wants If-Match on changes of existing things."
    case .rateLimited: "Too many requests; wait as long as Retry-After says."
    case .internalError: "An internal operation failed."
    case .sealed: "The server is sealed."
    case .unavailable: "The store cannot be used now."
    }
  }
}

/// Why a request of the scoped dialect or the operator surface is refused. Never holds a value.
package struct Refusal: Error, Sendable {
  package let code: ErrorCode
  package var details: JSONObject?
  /// Seconds until it is worth another try; nil where that depends on more than time.
  package let retryAfter: Int?

  package init(_ code: ErrorCode, details: JSONObject? = nil, retryAfter: Int? = nil) {
    self.code = code
    self.details = details
    self.retryAfter = retryAfter ?? code.retryAfter
  }

  /// A part of the request breaks a rule.
  package static func invalid(_ pointer: String, _ rule: StaticString, code: ErrorCode = .validationFailed) -> Refusal {
    Refusal(
      code,
      details: JSONObject(uniqueMembers: [
        .init(name: "issues", value: [["pointer": .string(JSONString(pointer)), "rule": .string(JSONString(stringLiteral: rule))]])
      ]))
  }

  /// Members that are wrong by themselves: `details.pointer` and `details.rule` (section 4.4).
  package static func envelope(_ code: ErrorCode, _ pointer: String, _ rule: StaticString) -> Refusal {
    Refusal(
      code,
      details: JSONObject(uniqueMembers: [
        .init(name: "pointer", value: .string(JSONString(pointer))), .init(name: "rule", value: .string(JSONString(stringLiteral: rule))),
      ]))
  }

  package static func precondition(currentTag: String?) -> Refusal {
    Refusal(
      .preconditionFailed,
      details: JSONObject(uniqueMembers: [.init(name: "currentETag", value: currentTag.map { .string(JSONString($0)) } ?? .null)]))
  }

  package static func exists(currentTag: String) -> Refusal {
    Refusal(.secretExists, details: JSONObject(uniqueMembers: [.init(name: "currentETag", value: .string(JSONString(currentTag)))]))
  }

  package static func quota(_ name: StaticString, limit: Int64) -> Refusal {
    Refusal(
      .quotaExceeded,
      details: JSONObject(uniqueMembers: [
        .init(name: "quota", value: .string(JSONString(stringLiteral: name))), .init(name: "limit", value: .number(JSONNumber(limit))),
      ]))
  }

  package static func lacks(_ capability: String) -> Refusal {
    Refusal(.capabilityMissing, details: JSONObject(uniqueMembers: [.init(name: "capability", value: .string(JSONString(capability)))]))
  }
}
