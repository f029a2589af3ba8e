internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

// Who a key is, what it may still do, tokens made from it, and enrolment (scoped spec, sections 2.2, 5.12, 5.13, 8).
extension ScopedAPI {
  func whoami(_ call: Call) -> Response {
    let caller = call.caller
    let data: JSONValue = [
      "agentId": Wire.text(caller.agentID), "tenantId": Wire.text(caller.tenant), "name": Wire.text(caller.agentName),
      "keyId": Wire.text("key_" + caller.keyID), "keyExpiresAt": caller.expiresAt.map(Wire.time) ?? .null,
      "capabilities": .array(caller.grants.capabilities.names.map(Wire.text)),
    ]
    return Wire.ok(data, call.request, at: service.now())
  }

  func limits(_ call: Call) -> Response {
    var budgets = JSONObject()
    for (name, verdict, perSecond) in service.limiter.look(at: call.caller, now: service.now()) {
      budgets[JSONString(name.rawValue)] = [
        "perSecond": Wire.number(perSecond), "limit": Wire.number(verdict.limit), "remaining": Wire.number(verdict.remaining),
        "reset": Wire.number(verdict.reset),
      ]
    }
    return Wire.ok(["enforced": .bool(!service.options.isOpen), "budgets": .object(budgets)], call.request, at: service.now())
  }

  func createToken(_ call: Call) throws(ScopedFailure) -> Answer {
    guard !call.caller.isChild else { throw ScopedFailure(code: .wrongKeyKind) }
    let body = try Body(call.request)
    let plan = try body.tokenPlan()
    let service = service
    return .later { send in
      service.makeToken(plan, by: call.caller, call.origin) { result in
        switch result {
        case .success(let issued):
          let expiry = issued.view.expiresAt.map(Wire.time) ?? .null
          send(
            Self.keyResponse(
              "token", issued.text,
              ["tokenId": Wire.text(issued.view.id), "id": Wire.text(issued.view.id), "expiresAt": expiry], call.request, at: service.now())
          )
        case .failure(let failure): send(Failure.response(failure.refusal, call.request, at: service.now()))
        }
      }
    }
  }

  func revokeToken(_ call: Call) -> Answer {
    let service = service
    let id = call.parameters[0]
    return .later { send in
      service.revokeToken(id, by: call.caller, call.origin) { result in
        switch result {
        case .success: send(Wire.ok(["tokenId": Wire.text(id), "revoked": true], call.request, at: service.now()))
        case .failure(let failure): send(Failure.response(failure.refusal, call.request, at: service.now()))
        }
      }
    }
  }

  func enrol(_ request: Request) throws(ScopedFailure) -> Answer {
    let body = try Body(request)
    guard let token = body.object["inviteToken"]?.string else { throw ScopedFailure(.invalid("/inviteToken", "a text")) }
    guard let name = body.object["agentName"]?.string.flatMap({ ScopedNames.title($0.text) }) else {
      throw ScopedFailure(.invalid("/agentName", ScopedNames.titleRule))
    }
    let service = service
    let origin = RequestOrigin(id: request.id, address: request.peer.address)
    return .later { send in
      service.enrol(invite: SecretBytes(copying: token.utf8), name: name, origin) { result in
        switch result {
        case .success(let enrolled):
          let members: JSONObject = JSONObject(uniqueMembers: [
            .init(name: "agentId", value: Wire.text(enrolled.agent)), .init(name: "id", value: Wire.text(enrolled.agent)),
            .init(name: "tenantId", value: Wire.text(enrolled.tenant)), .init(name: "keyId", value: Wire.text(enrolled.key.view.id)),
          ])
          send(Self.keyResponse("apiKey", enrolled.key.text, .object(members), request, at: service.now()))
        case .failure(let failure): send(Self.failedEnrolment(failure, request, service))
        }
      }
    }
  }

  /// Guessing invites counts as failing with credentials.
  private static func failedEnrolment(_ failure: ScopedFailure, _ request: Request, _ service: Service) -> Response {
    let counts = failure.refusal.code == .inviteInvalid
    let waits = counts ? service.limiter.refusal(ofFailureFrom: request.peer.address, now: service.now()) : nil
    return Failure.response(waits ?? failure.refusal, request, at: service.now())
  }

  /// An answer that shows a key, this once. The key needs no escapes.
  private static func keyResponse(_ name: JSONString, _ key: SecretBytes, _ members: JSONValue, _ request: Request, at now: Int64)
    -> Response
  {
    var writer = JSONWriter(reserving: 2048)
    writer.appendRaw("{\"data\":{")
    writer.append(name)
    writer.appendRaw(":")
    key.withBytes { writer.append(text: $0) }
    writer.appendRaw(",")
    writer.appendMembers(members.object ?? JSONObject())
    writer.appendRaw("}")
    Wire.finish(&writer, request, at: now)
    return Wire.secret(&writer, headers: [])
  }
}

extension Body {
  func tokenPlan() throws(ScopedFailure) -> ChildTokenPlan {
    guard let name = object["name"]?.string.flatMap({ ScopedNames.title($0.text) }) else {
      throw ScopedFailure(.invalid("/name", ScopedNames.titleRule))
    }
    guard let seconds = object["ttlSeconds"]?.number?.int64, (60...86_400).contains(seconds) else {
      throw ScopedFailure(.invalid("/ttlSeconds", "an integer from 60 to 86400"))
    }
    var uses: Int64?
    if let value = object["maxUses"], !value.isNull {
      guard let number = value.number?.int64, (1...1_000_000).contains(number) else {
        throw ScopedFailure(.invalid("/maxUses", "an integer from 1 to 1000000"))
      }
      uses = number
    }
    let grants: KeyGrants
    do throws(Refusal) { grants = try KeyGrants(object) } catch { throw ScopedFailure(error) }
    return ChildTokenPlan(name: name, ttlSeconds: seconds, grants: grants, maxUses: uses)
  }
}
