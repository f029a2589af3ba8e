internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// The tokens of conversations: what is out, and how to end it. Names only, never values or tokens.
extension AdminAPI {
  func conversations(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    let grants = try served { () throws(ServiceError) in try desk.conversations(tenant: tenant, after: query.after, limit: query.fetched) }
    func shown(_ grant: ConversationSummary) -> JSONValue {
      [
        "conversation": AdminRendering.text(grant.conversation), "keyId": AdminRendering.text(grant.keyID),
        "names": .array(grant.names.map(AdminRendering.text)), "createdAt": AdminRendering.time(grant.createdAt),
        "expiresAt": AdminRendering.time(grant.expiresAt), "usesLeft": .number(JSONNumber(grant.usesLeft)),
      ]
    }
    return try page(query, grants, key: \.name, json: shown, request)
  }

  func revokeConversation(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure)
    -> Answer
  {
    guard let id = parameters.last.flatMap({ UUIDText.canonical(Array($0.utf8)) }) else { throw .service(.notFound) }
    let service = desk.service
    return .later { send in
      service.revokeConversation(id, "conversation.revoke", by: principal.acting(in: tenant), requestID: request.id) { result in
        let now = service.now()
        let response = result.mapError(AdminFailure.service).flatMap { count -> Result<Response, AdminFailure> in
          guard count > 0 else { return .failure(.service(.notFound)) }
          return .success(Self.ok(["conversation": AdminRendering.text(id), "revoked": .number(JSONNumber(count))], request, at: now))
        }
        send(Self.response(response, request, at: now))
      }
    }
  }
}
