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
  let isVerifying = Atomic(false)

  package init(release: String, started: Int64, processID: Int32) {
    self.release = release
    self.started = started
    self.processID = processID
  }
}

/// The operator surface on one thread. No route returns a value, a digest or a key, but for the one a caller just made.
package final class AdminAPI {
  let desk: Desk
  let facts: AdminFacts
  private let router = Router(routes: AdminRoute.table.map { (methods: $0.methods, pattern: $0.pattern, route: $0.route) })

  package init(desk: Desk, facts: AdminFacts) {
    self.desk = desk
    self.facts = facts
  }

  /// True for the paths this answers.
  package static func owns(_ target: RequestTarget) -> Bool { target.segments.first == Array("admin".utf8) }

  package func answer(_ request: Request) -> Answer {
    do throws(AdminFailure) {
      return try routed(request)
    } catch { return .now(error.response(for: request, at: Self.time(desk.service.now()))) }
  }

  /// Route, then key, then body, as in the other dialects.
  private func routed(_ request: Request) throws(AdminFailure) -> Answer {
    switch router.match(request.target, request.method) {
    case .notFound, .trailingSlash: throw .noRoute
    case .methodNotAllowed(let allow): throw .methodNotAllowed(allow: allow)
    case .found(let route, let parameters):
      let principal = try principal(of: request)
      return try answer(route, parameters.map { String(decoding: $0, as: UTF8.self) }, request, principal)
    }
  }

  /// On the control socket the operator, whose uid the socket has checked; elsewhere an admin key.
  private func principal(of request: Request) throws(AdminFailure) -> Principal {
    if request.peer.isLocalOperator { return .localOperator(tenant: desk.service.defaultTenant) }
    guard let header = request[.authorization], let token = Self.bearerToken(header) else { throw .service(.unauthenticated) }
    do { return try desk.authenticateAdmin(token) } catch { throw .service(error) }
  }

  /// RFC 6750, section 2.1; the scheme's name in any case (RFC 9110, section 11.1).
  private static func bearerToken(_ header: [UInt8]) -> [UInt8]? {
    guard header.count > 7, String(decoding: header[..<7], as: UTF8.self).lowercased() == "bearer " else { return nil }
    return Array(header[7...].drop { $0 == 0x20 })
  }

  private func answer(_ route: AdminRoute, _ parameters: [String], _ request: Request, _ principal: Principal) throws(AdminFailure)
    -> Answer
  {
    switch route {
    case .status: return .now(ok(status(), request))
    case .tenants: return .now(try tenants(request))
    case .createTenant: return try createTenant(request, principal)
    case .keys: return .now(try keys(try tenant(parameters), request))
    case .createKey: return try createKey(try tenant(parameters), request, principal)
    case .revokeKey: return revokeKey(parameters.first ?? "", request, principal)
    case .auditEntries: return .now(try auditEntries(try tenant(parameters), request))
    case .auditHead:
      let tenant = try tenant(parameters)
      return .now(ok(AdminRendering.head(try served { () throws(ServiceError) in try desk.auditHead(tenant: tenant) }), request))
    case .verifyAudit: return try verifyAudit(try tenant(parameters), request)
    case .backUp: return try backUp(request)
    case .verify: return try verify(request)
    case .importOpenHands: return try importOpenHands(try tenant(parameters), request)
    }
  }

  // MARK: - Reads

  private func status() -> JSONValue {
    let service = desk.service
    return [
      "version": AdminRendering.text(facts.release), "processId": .number(JSONNumber(facts.processID)),
      "uptimeSeconds": .number(JSONNumber(max(0, (service.now() - facts.started) / 1000))),
      "startedAt": AdminRendering.time(facts.started), "now": AdminRendering.time(service.now()),
      "defaultTenant": AdminRendering.text(service.defaultTenant), "rootKeyId": AdminRendering.text(service.rootKeyID),
      "auditExposures": AdminRendering.text(service.options.exposureAudit.rawValue), "insecureOpen": .bool(service.options.isOpen),
      "environmentKeys": .number(JSONNumber(service.options.environmentKeys.count)),
    ]
  }

  private func tenants(_ request: Request) throws(AdminFailure) -> Response {
    let query = try AdminQuery(request.target.rawQuery)
    let rows = try served { () throws(ServiceError) in try desk.tenants(after: query.after ?? "", limit: query.limit) }
    let list = rows.map { AdminRendering.tenant($0, isDefault: $0.id == desk.service.defaultTenant) }
    return page(list, cursor: rows.count == query.limit ? rows.last?.id : nil, request)
  }

  private func keys(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try AdminQuery(request.target.rawQuery)
    let rows = try served { () throws(ServiceError) in try desk.keys(tenant: tenant, after: query.after ?? "", limit: query.limit) }
    return page(rows.map { .object(AdminRendering.key($0)) }, cursor: rows.count == query.limit ? rows.last?.id : nil, request)
  }

  private func auditEntries(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try AdminQuery(request.target.rawQuery)
    let after = try query.afterSequence()
    let rows = try served { () throws(ServiceError) in try desk.auditEntries(tenant: tenant, after: after, limit: query.limit) }
    let cursor = rows.count == query.limit ? rows.last.map { String($0.sequence) } : nil
    return page(rows.map(AdminRendering.entry), cursor: cursor, request)
  }

  /// A walk over a long chain takes seconds, so it has a thread of its own; one walk at a time.
  private func verifyAudit(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    let (facts, service) = (facts, desk.service)
    guard !facts.isVerifying.exchange(true, ordering: .acquiringAndReleasing) else { throw .verificationRuns }
    return .later { send in
      PlainThread.start(named: "coffer-verify") {
        let result: Result<Response, AdminFailure>
        do {
          let verdict = try Desk(service).verifyAudit(tenant: tenant)
          result = .success(Self.ok(AdminRendering.verdict(verdict), request, at: service.now()))
        } catch let error as ServiceError { result = .failure(.service(error)) } catch { result = .failure(.service(.unavailable)) }
        facts.isVerifying.store(false, ordering: .releasing)
        send(Self.response(result, request, at: service.now()))
      }
    }
  }

  // MARK: - Writes

  private func createTenant(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let name = try AdminBody.name(try AdminBody.object(request, members: ["name"]))
    let service = desk.service
    return .later { send in
      service.createTenant(name: name, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { row in
          Self.ok(AdminRendering.tenant(row, isDefault: false), request, at: now, status: 201)
        }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  private func createKey(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let service = desk.service
    let wanted = try AdminBody.keyRequest(request, now: service.now())
    return .later { send in
      service.createKey(wanted, tenant: tenant, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { $0.response(requestID: request.id, time: Self.time(now)) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  private func revokeKey(_ id: String, _ request: Request, _ principal: Principal) -> Answer {
    let service = desk.service
    return .later { send in
      service.revokeKey(id, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { Self.ok(.object(AdminRendering.key($0)), request, at: now) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  // MARK: - Shapes

  /// The tenant a path names, which must exist.
  private func tenant(_ parameters: [String]) throws(AdminFailure) -> String {
    let name = parameters.first ?? ""
    let id = name == "default" ? desk.service.defaultTenant : name
    _ = try served { () throws(ServiceError) in try desk.tenant(id) }
    return id
  }

  private func served<T>(_ body: () throws(ServiceError) -> T) throws(AdminFailure) -> T {
    do { return try body() } catch { throw .service(error) }
  }

  private func ok(_ data: JSONValue, _ request: Request) -> Response { Self.ok(data, request, at: desk.service.now()) }

  static func ok(_ data: JSONValue, _ request: Request, at now: Int64, status: Int = 200) -> Response {
    let body: JSONValue = ["data": data, "requestId": AdminRendering.text(request.id), "timestamp": AdminRendering.time(now)]
    return Response(status: Status(status), contentType: "application/json", body: .bytes(body.serialized()))
  }

  private func page(_ list: [JSONValue], cursor: String?, _ request: Request) -> Response {
    let body: JSONValue = [
      "data": .array(list), "cursor": cursor.map(AdminRendering.text) ?? .null, "hasMore": .bool(cursor != nil),
      "requestId": AdminRendering.text(request.id), "timestamp": AdminRendering.time(desk.service.now()),
    ]
    return Response(status: Status(200), contentType: "application/json", body: .bytes(body.serialized()))
  }

  static func response(_ result: Result<Response, AdminFailure>, _ request: Request, at now: Int64) -> Response {
    switch result {
    case .success(let response): response
    case .failure(let error): error.response(for: request, at: time(now))
    }
  }

  private static func time(_ milliseconds: Int64) -> String { AdminRendering.time(milliseconds).string?.text ?? "" }
}
