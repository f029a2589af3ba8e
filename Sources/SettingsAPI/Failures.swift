internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

extension Status {
  static let ok = Status(200)
  static let temporaryRedirect = Status(307)
  static let badRequest = Status(400)
  static let unauthorized = Status(401)
  static let notFound = Status(404)
  static let methodNotAllowed = Status(405)
  static let unprocessable = Status(422)
}

/// The bodies of refusals (spec section 1.4).
enum Failure {
  /// `{"detail": text}`.
  static func response(_ status: Status, _ detail: String, headers: [(name: StaticString, value: String)] = []) -> Response {
    body(status, ["detail": .string(JSONString(detail))], headers: headers)
  }

  /// The list form of 422. No entry repeats the input (decision D5).
  static func response(_ issues: [ValidationIssue]) -> Response {
    body(.unprocessable, ["detail": .array(issues.map(\.json))])
  }

  /// A failure of the server: clients look for the text in `exception`.
  static func server(_ status: Int, _ text: String) -> Response {
    body(Status(status), ["detail": "Internal Server Error", "exception": .string(JSONString("\(status): \(text)"))])
  }

  static func body(_ status: Status, _ json: JSONValue, headers: [(name: StaticString, value: String)] = []) -> Response {
    Response(status: status, contentType: MediaType.json, headers: headers, body: .bytes(json.serialized()))
  }

  /// The one mapping from failures of the use cases to answers.
  static func response(_ error: ServiceError) -> Response {
    switch error {
    case .unauthenticated: response(.unauthorized, "Unauthorized")
    case .forbidden(let action): response(Status(403), "This key may not \(phrase(action)).")
    case .notFound: response(.notFound, "Secret not found")
    case .profileNotFound(let name): response(.notFound, "Profile '\(name)' not found")
    case .invalidSecretName: response(.unprocessable, invalidName)
    case .valueTooLong(let limit): response(Status(413), "The value is longer than \(limit) bytes.")
    case .invalidBody(let issues): response(issues)
    case .invalidSettings: response(.unprocessable, "Settings validation failed")
    case .tokensDoNotOpen(let pointers):
      body(
        .unprocessable,
        [
          "detail": .string(
            JSONString("Settings validation failed: encrypted values that this server cannot open: " + pointers.joined(separator: ", "))),
          "pointers": .array(pointers.map { .string(JSONString($0)) }),
        ])
    case .preconditionFailed: response(Status(412), "The stored version is not the one named by If-Match.")
    case .conflict: response(Status(409), "Conflict")
    case .unreadable: server(503, "A stored value is damaged or sealed with a different key")
    case .storageFull: server(507, "The disk is full; nothing was changed")
    case .unavailable: server(503, "The store cannot be used now")
    case .busy: server(503, "Too many writes are waiting; try again")
    case .internalFailure: server(500, "An internal operation failed")
    }
  }

  static let invalidName =
    "Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, and be 1-64 characters long."

  private static func phrase(_ action: Action) -> String {
    switch action {
    case .readRedacted: "read settings"
    case .readEncrypted: "read encrypted values"
    case .readPlaintext: "read plaintext values"
    case .listSecrets: "list secrets"
    case .readSecretValue: "read secret values"
    case .write: "change anything"
    }
  }

  /// The one mapping from requests that never became one.
  static func response(_ refusal: RequestRefusal) -> Response {
    switch refusal {
    case .invalidPath: response(.badRequest, "The path is not valid.")
    case .invalidRequest: response(.badRequest, "The request is not valid.")
    case .incompleteBody: response(.badRequest, "The body ended before its announced length.")
    case .bodyTooLarge: response(Status(413), "The body is longer than 1048576 bytes.")
    case .headerTooLarge: response(Status(431), "A header field is too long.")
    }
  }
}
