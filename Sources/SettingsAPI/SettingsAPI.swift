package import HTTPMessages
internal import Model
internal import SecretMemory
package import Service
internal import StrictJSON

/// The settings dialect on one thread: from a request to an answer.
///
/// The order of checks is route (404, 405), key (401), level (403), then the body (decision D14).
package final class SettingsAPI {
  let desk: Desk
  private let cors: CORSPolicy
  let info: ServerInfo
  let conversations: ConversationGateway?
  private let router = SettingsAPI.router
  private static let router = Router(routes: Route.table.map { (methods: $0.methods, pattern: $0.pattern) })
  /// Every path's pattern, once.
  package static var patterns: [String] { router.patterns }
  /// Where in `patterns` the last request's is; nil when none fits.
  package private(set) var lastPattern: Int?

  package init(desk: Desk, cors: CORSPolicy, info: ServerInfo, conversations: ConversationGateway? = nil) {
    self.conversations = conversations
    self.desk = desk
    self.cors = cors
    self.info = info
  }

  package func answer(_ request: Request) -> Answer {
    lastPattern = nil
    if let response = cors.preflight(request) { return .now(response) }
    let cors = cors
    switch routed(request) {
    case .now(let response): return .now(cors.decorate(response, for: request))
    case .later(let start): return .later { send in start { send(cors.decorate($0, for: request)) } }
    }
  }

  /// The answer to a request that never became one, whichever dialect it was meant for: both find their members.
  package func refuse(_ refusal: RequestRefusal, requestID: String) -> Response {
    let time = UTCTime(unixMicroseconds: desk.service.now() * 1000)
    return Failure.response(refusal, requestID: requestID, at: time.text)
  }

  private func routed(_ request: Request) -> Answer {
    lastPattern = router.pattern(of: request.target)
    switch router.match(request.target, request.method, at: lastPattern) {
    case .notFound: return unserved(request) ?? .now(Failure.response(.notFound, "Not Found"))
    case .methodNotAllowed(let allow):
      // The agent server has further methods on the paths of conversations.
      if request.method != .options, Route.isConversation(request.target), let answer = unserved(request) { return answer }
      return .now(Failure.response(.methodNotAllowed, "Method Not Allowed", headers: [("Allow", allow)]))
    case .trailingSlash: return .now(redirect(request))
    case .found(let place, let parameters):
      let route = Route.table[place].route
      if case .ready = route, let answer = readyForOperators(request) { return answer }
      if route.isOpen { return .now(openAnswer(route)) }
      info.noteRequest(at: desk.service.now())
      do throws(ServiceError) {
        let principal = try desk.authenticate(request[.sessionKey])
        return guarded(principal, request) { () throws(ServiceError) in
          try self.keyedAnswer(route, parameters: parameters, request: request, principal: principal)
        }
      } catch { return .now(Failure.response(error)) }
    }
  }

  /// A refusal for lack of rights is written into the audit chain before it is sent.
  func guarded(_ principal: Principal, _ request: Request, _ body: () throws(ServiceError) -> Answer) -> Answer {
    do throws(ServiceError) {
      return try body()
    } catch {
      guard case .forbidden(let action) = error else { return .now(Failure.response(error)) }
      let event = AuditEvent("access.denied", subject: action.rawValue, outcome: .denied)
      return recorded(event, by: principal, request) { Failure.response(error) }
    }
  }

  /// Sends what `response` makes once `event` is in the chain; 503 when it cannot be written.
  func recorded(_ event: AuditEvent, by principal: Principal, _ request: Request, _ response: @escaping @Sendable () -> Response)
    -> Answer
  {
    let service = desk.service
    let id = request.id
    return .later { send in
      let completion: @Sendable (Result<Void, ServiceError>) -> Void = { result in
        switch result {
        case .success: send(response())
        case .failure(let error): send(Failure.response(error))
        }
      }
      if principal.conversation != nil, event.outcome == .allowed {
        service.recordUse(event, by: principal, requestID: id, completion: completion)
      } else {
        service.record(event, by: principal, requestID: id, completion: completion)
      }
    }
  }

  // MARK: - Without a key

  private func openAnswer(_ route: Route) -> Response {
    switch route {
    case .alive: return json(["status": "ok"])
    case .ready where desk.service.isSealed:
      return Failure.body(Status(503), ["status": "sealed", "message": "The server is sealed"])
    case .ready: return json(["status": "ready"])
    case .serverInfo: return json(info.json(at: desk.service.now()))
    case .documentation: return Response(status: .ok, contentType: MediaType.html, body: .bytes(Pages.documentation))
    case .openAPI: return Response(status: .ok, contentType: MediaType.json, body: .bytes(OpenAPI.document))
    case .initialisation:
      return Failure.response(
        .notFound, "server is not running with deferred_init=True; the /api/init endpoint is not available")
    default: return Failure.response(.unauthenticated)
    }
  }

  /// 307 to the same address without the slash.
  private func redirect(_ request: Request) -> Response {
    let path = String(request.target.rawPath.dropLast())
    let query = request.target.rawQuery.isEmpty ? "" : "?" + request.target.rawQuery
    return Response(status: .temporaryRedirect, headers: [("Location", "\(request.scheme)://\(request.host)\(path)\(query)")])
  }

  func json(_ value: JSONValue, headers: [(name: StaticString, value: String)] = []) -> Response {
    Failure.body(.ok, value, headers: headers)
  }

  // MARK: - With a key

  private func keyedAnswer(_ route: Route, parameters: [[UInt8]], request: Request, principal: Principal) throws(ServiceError) -> Answer {
    switch route {
    case .settings: return try settings(request, principal)
    case .changeSettings: return try changeSettings(request, principal)
    case .agentSchema: return try schema(FormSchema.agent, principal)
    case .conversationSchema: return try schema(FormSchema.conversation, principal)
    case .secrets: return try secrets(request, principal)
    case .putSecret: return try putSecret(request, principal)
    case .secretValue: return try secretValue(try name(parameters), request, principal)
    case .deleteSecret: return try deleteSecret(try name(parameters), request, principal)
    case .addMCPServer:
      return try changeMCPServer(parameters, request, principal, Status(201)) { body throws(BodyError) in
        .add(try MCPServerBody(whole: body))
      }
    case .changeMCPServer:
      return try changeMCPServer(parameters, request, principal, .ok) { body throws(BodyError) in .merge(try MCPServerBody(sparse: body)) }
    case .removeMCPServer: return try removeMCPServer(parameters, request, principal)
    case .profiles: return try profiles(principal)
    case .profile: return try profile(parameters, request, principal)
    case .saveProfile: return try saveProfile(parameters, request, principal)
    case .deleteProfile: return try deleteProfile(parameters, request, principal)
    case .renameProfile: return try renameProfile(parameters, request, principal)
    case .activateProfile: return try activateProfile(parameters, request, principal)
    case .agentProfiles: return try agentProfiles(request, principal)
    case .agentProfile: return try agentProfile(parameters, principal)
    case .saveAgentProfile: return try saveAgentProfile(parameters, request, principal)
    case .deleteAgentProfile: return try deleteAgentProfile(parameters, request, principal)
    case .renameAgentProfile: return try renameAgentProfile(parameters, request, principal)
    case .activateAgentProfile: return try activateAgentProfile(parameters, request, principal)
    case .materializeAgentProfile: return try materialize(parameters, principal)
    case .connections: return try connections(principal)
    case .createConnection: return try createConnection(request, principal)
    case .changeConnection: return try changeConnection(parameters, request, principal)
    case .deleteConnection: return try deleteConnection(parameters, request, principal)
    case .workspaces: return try workspaces(principal)
    case .addWorkspaces: return try addWorkspaces(.workspaces, request, principal)
    case .addWorkspaceParents: return try addWorkspaces(.parents, request, principal)
    case .removeWorkspace: return try removeWorkspace(.workspaces, request, principal)
    case .removeWorkspaceParent: return try removeWorkspace(.parents, request, principal)
    case .startConversation: return try startConversation(request, principal)
    case .deleteConversation: return try deleteConversation(parameters, request, principal)
    case .addConversationSecrets: return try addConversationSecrets(parameters, request, principal)
    case .conversationValue: return try conversationValue(parameters, request, principal)
    case .switchModel: return try switchModel(parameters, request, principal)
    case .switchProfile: return try switchProfile(parameters, request, principal)
    case .serverInfo, .alive, .ready, .initialisation, .initialise, .documentation, .openAPI: return .now(openAnswer(route))
    }
  }

  private func schema(_ document: [UInt8], _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.readRedacted)
    return .now(Response(status: .ok, contentType: MediaType.json, body: .bytes(document)))
  }

  private func settings(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    let mode: ExposureMode
    switch Self.exposure(request[.exposeSecrets]) {
    case .mode(let wanted): mode = wanted
    case .unknown(let text): return .now(Self.unknownExposure(text))
    }
    let view = try desk.settings(mode, for: principal)
    switch view.body {
    case .open(let bytes):
      if mode == .redacted, let tags = request[.ifNoneMatch],
        EntityTagCondition(parsing: tags).matches(Array(entityTag(of: view.version).utf8))
      {
        return .now(Response(status: Status(304), headers: [("ETag", entityTag(of: view.version))]))
      }
      return .now(Self.document(bytes, view.version))
    case .exposed(let exposure):
      return recorded(exposure.event, by: principal, request) {
        Response(
          status: .ok, contentType: MediaType.json, headers: [("ETag", entityTag(of: view.version))], body: .secret(exposure.value))
      }
    }
  }

  static func document(_ bytes: [UInt8], _ version: UInt64) -> Response {
    Response(status: .ok, contentType: MediaType.json, headers: [("ETag", entityTag(of: version))], body: .bytes(bytes))
  }

  /// What a change answers: the whole document, redacted.
  static func answer(_ view: SettingsView, _ status: Status = .ok) -> Response {
    guard case .open(let bytes) = view.body else { return Failure.response(.internalFailure) }
    var response = document(bytes, view.version)
    response.status = status
    return response
  }

  static func unknownExposure(_ text: String) -> Response {
    Failure.response(.badRequest, "Invalid X-Expose-Secrets header value: '\(text)'. Valid values are: 'encrypted', 'plaintext'.")
  }

  enum Exposure {
    case mode(ExposureMode)
    case unknown(String)
  }

  /// Spec section 3: lower-cased and stripped; `true` is what older clients send for `encrypted`.
  static func exposure(_ header: [UInt8]?) -> Exposure {
    guard let header else { return .mode(.redacted) }
    let text = String(decoding: header, as: UTF8.self).lowercased()
    let stripped = String(text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    switch stripped {
    case "": return .mode(.redacted)
    case "encrypted", "true": return .mode(.encrypted)
    case "plaintext": return .mode(.plaintext)
    default: return .unknown(stripped)
    }
  }

  private func changeSettings(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    switch try RequestBody.read(request) {
    case .refused(let response): return .now(response)
    case .json(let body):
      let patch: SettingsPatch
      do { patch = try SettingsPatch(body: body) } catch {
        switch error {
        case .nothingGiven: return .now(Failure.response(.badRequest, SettingsPatch.nothingGivenText))
        case .invalid(let issues): return .now(Failure.response(issues))
        }
      }
      return writing(request) { service, condition, id, send in
        service.patchSettings(patch, ifMatch: condition, for: principal, requestID: id) { result in
          send(result.map { Self.answer($0) })
        }
      }
    }
  }

  private func secrets(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    let summaries = try desk.secrets(for: principal)
    let list = summaries.map { summary -> JSONValue in SecretBody.json(summary) }
    return .now(json(["secrets": .array(list)]))
  }

  private func putSecret(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    switch try RequestBody.read(request) {
    case .refused(let response): return .now(response)
    case .json(let body):
      let change = try SecretBody.change(body)
      return writing(request) { service, condition, id, send in
        service.put(change, ifMatch: condition, for: principal, requestID: id) { result in
          send(
            result.map { summary in
              Failure.body(.ok, SecretBody.json(summary), headers: [("ETag", summary.tag)])
            })
        }
      }
    }
  }

  private func secretValue(_ name: SecretName, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    let exposure = try desk.secretValue(name, for: principal, RequestOrigin(id: request.id, address: request.peer.address))
    return recorded(exposure.event, by: principal, request) {
      Response(status: .ok, contentType: MediaType.text, body: .secret(exposure.value))
    }
  }

  private func deleteSecret(_ name: SecretName, _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    return writing(request) { service, condition, id, send in
      service.deleteSecret(name, ifMatch: condition, for: principal, requestID: id) { result in
        send(result.map { Failure.body(.ok, ["deleted": true]) })
      }
    }
  }

  private func name(_ parameters: [[UInt8]]) throws(ServiceError) -> SecretName {
    guard let bytes = parameters.first, let name = SecretName(bytes) else { throw .invalidSecretName }
    return name
  }

  /// Hands a write to the service and maps its result once.
  func writing(
    _ request: Request,
    _ start:
      @escaping @Sendable (Service, EntityTagCondition?, String, @escaping @Sendable (Result<Response, ServiceError>) -> Void) -> Void
  ) -> Answer {
    let service = desk.service
    let condition = request[.ifMatch].map(EntityTagCondition.init(parsing:))
    let id = request.id
    return .later { send in
      start(service, condition, id) { result in
        switch result {
        case .success(let response): send(response)
        case .failure(let error): send(Failure.response(error))
        }
      }
    }
  }
}

extension SettingsAPI {
  /// What a client gets when nobody answered its request.
  package var abandoned: Response { Self.unavailable }
  /// Made once: every request that waits for the writer takes it along.
  private static let unavailable = Failure.response(.unavailable)
}
