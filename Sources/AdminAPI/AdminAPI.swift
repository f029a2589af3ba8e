package import HTTPMessages
internal import Model
internal import SecretMemory
package import Service
internal import Store
internal import StrictJSON
internal import Synchronization
internal import Threads

/// What an operator sees of the process itself.
package final class AdminFacts: Sendable {
  let release: String
  /// Unix milliseconds.
  let started: Int64
  let processID: Int32
  /// What the process measures of itself; nil outside a server.
  let figures: (@Sendable () -> ServerFigures)?
  let isVerifying = Atomic(false)
  /// The rows of a tenant are counted by version of their key.
  let isCounting = Atomic(false)
  let keyFigures = KeyFiguresMemory()

  /// Runs `walk` unless a walk over a chain goes on; false when it did not.
  package func walkAlone(_ walk: () -> Void) -> Bool {
    guard !isVerifying.exchange(true, ordering: .acquiringAndReleasing) else { return false }
    walk()
    isVerifying.store(false, ordering: .releasing)
    return true
  }

  package init(release: String, started: Int64, processID: Int32, figures: (@Sendable () -> ServerFigures)? = nil) {
    self.release = release
    self.started = started
    self.processID = processID
    self.figures = figures
  }
}

/// The operator surface on one thread. No route returns a value, a digest or a key, but for the one a caller just made.
package final class AdminAPI {
  let desk: Desk
  let facts: AdminFacts
  private let router = AdminAPI.router
  private static let router = Router(routes: AdminRoute.table.map { (methods: $0.methods, pattern: $0.pattern) })
  /// Every path's pattern, once.
  package static var patterns: [String] { router.patterns }
  /// Where in `patterns` the last request's is; nil when none fits.
  package private(set) var lastPattern: Int?

  package init(desk: Desk, facts: AdminFacts) {
    self.desk = desk
    self.facts = facts
  }

  /// True for the paths this answers.
  package static func owns(_ target: RequestTarget) -> Bool {
    target.segments.first == Self.area || target.segments == [Self.metricsName]
  }

  private static let area = Array("admin".utf8)
  private static let metricsName = Array("metrics".utf8)

  package func answer(_ request: Request) -> Answer {
    do throws(AdminFailure) {
      return try routed(request)
    } catch { return .now(error.response(for: request, at: Self.time(desk.service.now()))) }
  }

  /// Route, then key, then body, as in the other dialects.
  private func routed(_ request: Request) throws(AdminFailure) -> Answer {
    lastPattern = nil
    guard request.target.segments.allSatisfy(\.isPlainSegment) else { throw .refused(Refusal(.invalidPath)) }
    lastPattern = router.pattern(of: request.target)
    switch router.match(request.target, request.method, at: lastPattern) {
    case .notFound, .trailingSlash: throw .noRoute
    case .methodNotAllowed(let allow):
      let allow = allow + ", OPTIONS"
      guard request.method == .options else { throw .methodNotAllowed(allow: allow) }
      return .now(Response(status: Status(204), headers: [("Allow", allow)]))
    case .found(let place, let parameters):
      let route = AdminRoute.table[place].route
      let principal = try principal(of: request)
      guard let role = principal.role, route.admits(role, request.method) else {
        throw .refused(.lacks(route.admits(.operator, request.method) ? OperatorRole.operator.rawValue : OperatorRole.owner.rawValue))
      }
      guard route.isServedSealed || !desk.service.isSealed else { throw .service(.sealed) }
      return try answer(route, parameters.map { String(decoding: $0, as: UTF8.self) }, request, principal)
    }
  }

  /// On the control socket the operator, whose uid the socket has checked; elsewhere an admin key.
  private func principal(of request: Request) throws(AdminFailure) -> Principal {
    if request.peer.isLocalOperator {
      let principal = Principal.localOperator(tenant: desk.service.defaultTenant)
      desk.caller = principal
      return principal
    }
    guard let token = request.bearerToken else { throw refusal(.unauthenticated, request) }
    do throws(ServiceError) { return try desk.authenticateAdmin(token) } catch {
      guard case .unauthenticated = error else { throw .service(error) }
      throw refusal(try served { () throws(ServiceError) in try desk.refusal(ofAdmin: token) }, request)
    }
  }

  /// The refusal of a credential: one that does not hold counts against its address, as an agent's does.
  private func refusal(_ code: ErrorCode, _ request: Request) -> AdminFailure {
    guard code != .wrongKeyKind else { return .refused(Refusal(code)) }
    let waits = desk.service.limiter.refusal(ofFailureFrom: request.peer.address, now: desk.service.now())
    return waits.map(AdminFailure.refused) ?? (code == .unauthenticated ? .service(.unauthenticated) : .refused(Refusal(code)))
  }

  private func answer(_ route: AdminRoute, _ parameters: [String], _ request: Request, _ principal: Principal) throws(AdminFailure)
    -> Answer
  {
    switch route {
    case .metrics: return try metrics()
    case .status: return .now(ok(try status(), request))
    case .tenants: return .now(try tenants(request))
    case .createTenant: return try createTenant(request, principal)
    case .tenant: return .now(ok(rendered(try tenantEver(parameters)), request))
    case .renameTenant: return try renameTenant(try tenant(parameters), request, principal)
    case .deleteTenant: return try deleteTenant(try tenant(parameters), request, principal)
    case .admins: return .now(try admins(request))
    case .createAdmin:
      return create(try AdminBody.adminRequest(request, now: desk.service.now()), desk.service.defaultTenant, request, principal)
    case .createAdminKey: return try createAdminKey(parameters.first ?? "", request, principal)
    case .revokeAdmin: return try revokeAdmin(parameters.first ?? "", request, principal)
    case .keys: return .now(try keys(try tenant(parameters), request))
    case .createKey: return try createKey(try tenant(parameters), request, principal)
    case .revokeKey: return revokeKey(parameters.first ?? "", request, principal)
    case .rotateKey: return try rotateKey(parameters.first ?? "", request, principal)
    case .auditEntries: return .now(try auditEntries(try tenantEver(parameters).id, request))
    case .auditHead: return .now(try auditHead(try tenantEver(parameters).id, request))
    case .verifyAudit: return try verifyAudit(try tenantEver(parameters).id, request)
    case .exportAudit: return try exportAudit(try tenantEver(parameters).id, request)
    case .trimAudit: return try trimAudit(try tenantEver(parameters).id, request, principal)
    case .backUp: return try backUp(request)
    case .verify: return try verify(request)
    case .root: return .now(try root(request))
    case .rewrapRoot: return try rewrapRoot(request, principal)
    case .sealStatus: return .now(sealStatus(request))
    case .seal: return try seal(request, principal)
    case .unseal: return try unseal(request, principal)
    case .importOpenHands: return try importOpenHands(try tenant(parameters), request)
    case .exportOpenHands: return try exportOpenHands(try tenant(parameters), request)
    case .conversations: return .now(try conversations(try tenant(parameters), request))
    case .revokeConversation: return try revokeConversation(parameters, try tenant(parameters), request, principal)
    case .wireKeys: return .now(try wireKeys(request))
    case .rotateWireKey: return try rotateWireKey(request, principal)
    case .retireWireKey: return try retireWireKey(parameters.first ?? "", request, principal)
    case .structure(let route): return try answer(route, parameters, try tenant(parameters), request, principal)
    }
  }

  // MARK: - Reads

  private func status() throws(AdminFailure) -> JSONValue {
    let service = desk.service
    let alerts = try served { () throws(ServiceError) in try desk.canaryAlerts() }
    return [
      "version": AdminRendering.text(facts.release), "processId": .number(JSONNumber(facts.processID)),
      "uptimeSeconds": .number(JSONNumber(max(0, (service.now() - facts.started) / 1000))),
      "startedAt": AdminRendering.time(facts.started), "now": AdminRendering.time(service.now()),
      "defaultTenant": AdminRendering.text(service.defaultTenant), "rootKeyId": AdminRendering.text(service.rootKeyID),
      "sealed": .bool(service.isSealed), "auditExposures": AdminRendering.text(service.options.exposureAudit.rawValue),
      "insecureOpen": .bool(service.options.isOpen),
      "environmentKeys": .number(JSONNumber(service.options.environmentKeys.count)),
      "canariesRead": .number(JSONNumber(alerts.secrets)), "lastCanaryAlertAt": alerts.lastAt.map(AdminRendering.time) ?? .null,
    ]
  }

  private func keys(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    let rows = try served { () throws(ServiceError) in try desk.keys(tenant: tenant, after: query.after, limit: query.fetched) }
    return try page(query, rows, key: \.id, json: { .object(AdminRendering.key($0)) }, request)
  }

  // MARK: - Writes

  private func createKey(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    create(try AdminBody.keyRequest(request, now: desk.service.now()), tenant, request, principal)
  }

  func create(_ wanted: KeyRequest, _ tenant: String, _ request: Request, _ principal: Principal) -> Answer {
    let service = desk.service
    return .later { send in
      service.createKey(wanted, tenant: tenant, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { $0.response(requestID: request.id, time: Self.time(now)) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  func revokeKey(_ id: String, _ request: Request, _ principal: Principal) -> Answer {
    let service = desk.service
    return .later { send in
      service.revokeKey(id, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { Self.ok(.object(AdminRendering.key($0)), request, at: now) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  /// The old key lives on for the overlap, a day unless the body says otherwise.
  private func rotateKey(_ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let overlap = try AdminBody.overlap(request)
    let service = desk.service
    return .later { send in
      service.rotateKey(id, overlap: overlap, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { $0.new.response(replacing: $0.old, requestID: request.id, time: Self.time(now)) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  // MARK: - Shapes

  /// The tenant a path names, which must exist.
  private func tenant(_ parameters: [String]) throws(AdminFailure) -> String {
    let row = try tenantEver(parameters)
    if row.isDeleted { throw .service(.notFound) }
    return row.id
  }

  /// The same, also when it was deleted: its audit chain is there still.
  private func tenantEver(_ parameters: [String]) throws(AdminFailure) -> TenantRow {
    let name = parameters.first ?? ""
    let id = name == "default" ? desk.service.defaultTenant : name
    return try served { () throws(ServiceError) in try desk.tenantEver(id) }
  }

  func served<T>(_ body: () throws(ServiceError) -> T) throws(AdminFailure) -> T {
    do { return try body() } catch { throw .service(error) }
  }

  func ok(_ data: JSONValue, _ request: Request) -> Response { Self.ok(data, request, at: desk.service.now()) }

  static func ok(_ data: JSONValue, _ request: Request, at now: Int64, status: Int = 200) -> Response {
    Response(status: Status(status), contentType: "application/json", body: .bytes(answer(data, request, at: now)))
  }

  static func answer(_ data: JSONValue, _ request: Request, at now: Int64) -> [UInt8] {
    let body: JSONValue = ["data": data, "requestId": AdminRendering.text(request.id), "timestamp": AdminRendering.time(now)]
    return body.serialized()
  }

  /// - Parameter more: members of the answer beside the list.
  func page(_ list: [JSONValue], cursor: String?, _ request: Request) -> Response {
    var body = JSONObject()
    body["data"] = .array(list)
    body["cursor"] = cursor.map(AdminRendering.text) ?? .null
    body["hasMore"] = .bool(cursor != nil)
    body["requestId"] = AdminRendering.text(request.id)
    body["timestamp"] = AdminRendering.time(desk.service.now())
    return Response(status: Status(200), contentType: "application/json", body: .bytes(JSONValue.object(body).serialized()))
  }

  static func response(_ result: Result<Response, AdminFailure>, _ request: Request, at now: Int64) -> Response {
    switch result {
    case .success(let response): response
    case .failure(let error): error.response(for: request, at: time(now))
    }
  }

  static func time(_ milliseconds: Int64) -> String { AdminRendering.time(milliseconds).string?.text ?? "" }
}
