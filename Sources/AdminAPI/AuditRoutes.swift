internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON
internal import Synchronization
internal import Threads

/// `/admin/v1/tenants/{tenant}/audit` and what lies below it.
extension AdminAPI {
  func auditEntries(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk, ["after"])
    let after = try query.sequence()
    let rows = try served { () throws(ServiceError) in try desk.auditEntries(tenant: tenant, after: after, limit: query.fetched) }
    return try page(query, rows, key: \.sequence, json: AdminRendering.entry, request)
  }

  func auditHead(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    ok(AdminRendering.head(try served { () throws(ServiceError) in try desk.auditHead(tenant: tenant) }), request)
  }

  func verifyAudit(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    let head = try AdminBody.head(request)
    return try walking(request) { desk, finish in
      let verdict = try desk.verifyAudit(tenant: tenant, head: head)
      finish(.success(Self.ok(AdminRendering.verdict(verdict), request, at: desk.service.now())))
    }
  }

  /// Proves the part that is to go, then cuts it.
  func trimAudit(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let before = try AdminBody.cut(request, now: desk.service.now())
    let principal = principal.acting(in: tenant)
    return try walking(request) { desk, finish in
      let service = desk.service
      guard let cut = try desk.auditCut(tenant: tenant, before: before) else {
        return finish(.success(Self.ok(AdminRendering.trimming(nil), request, at: service.now())))
      }
      service.trimAudit(cut, before: before, by: principal, requestID: request.id) { result in
        finish(result.map { Self.ok(AdminRendering.trimming($0), request, at: service.now()) }.mapError(AdminFailure.service))
      }
    }
  }

  /// A walk over a long chain takes seconds, so it has a thread of its own; one walk at a time.
  func walking(
    _ request: Request, _ walk: @escaping @Sendable (Desk, @escaping @Sendable (Result<Response, AdminFailure>) -> Void) throws -> Void
  ) throws(AdminFailure) -> Answer {
    let (facts, service) = (facts, desk.service)
    guard !facts.isVerifying.exchange(true, ordering: .acquiringAndReleasing) else { throw .verificationRuns }
    return .later { send in
      PlainThread.start(named: "coffer-verify") {
        let finish: @Sendable (Result<Response, AdminFailure>) -> Void = { result in
          facts.isVerifying.store(false, ordering: .releasing)
          send(Self.response(result, request, at: service.now()))
        }
        do {
          try walk(try Desk(service), finish)
        } catch let error as ServiceError { finish(.failure(.service(error))) } catch { finish(.failure(.service(.unavailable))) }
      }
    }
  }
}
