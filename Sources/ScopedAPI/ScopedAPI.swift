package import HTTPMessages
internal import Model
internal import SecretMemory
package import Service
internal import StrictJSON

/// The scoped dialect on one thread: from a request to an answer.
///
/// The order of checks is path (400), route (404, 405), key (401, 403), rate (429), access (403), names and body (400), and
/// only then what is stored.
package final class ScopedAPI {
  let desk: Desk
  private let router = ScopedAPI.router
  private static let router = Router(routes: ScopedRoute.table.map { (methods: [$0.method], pattern: $0.pattern) })
  /// Every path's pattern, once.
  package static var patterns: [String] { router.patterns }
  /// Where in `patterns` the last request's is; nil when none fits.
  package private(set) var lastPattern: Int?

  var service: Service { desk.service }

  package init(desk: Desk) { self.desk = desk }

  /// True for the paths this answers.
  package static func owns(_ target: RequestTarget) -> Bool { target.segments.first == Array("agent".utf8) }

  package func answer(_ request: Request) -> Answer {
    do throws(ScopedFailure) {
      return try routed(request)
    } catch { return .now(Failure.response(error.refusal, request, at: service.now())) }
  }

  private func routed(_ request: Request) throws(ScopedFailure) -> Answer {
    lastPattern = nil
    guard request.target.segments.allSatisfy({ $0.isPlainSegment }) else { throw ScopedFailure(code: .invalidPath) }
    lastPattern = router.pattern(of: request.target)
    switch router.match(request.target, request.method, at: lastPattern) {
    case .notFound, .trailingSlash: throw ScopedFailure(code: .notFound)
    case .methodNotAllowed where !namesKnownScope(request.target): throw ScopedFailure(code: .notFound)
    case .methodNotAllowed(let allow):
      let allow = [("Allow" as StaticString, allow + ", OPTIONS")]
      if request.method == .options { return .now(Response(status: Status(204), headers: allow)) }
      return .now(Failure.response(Refusal(.methodNotAllowed), request, at: service.now(), headers: allow))
    case .found(let place, let parameters):
      let route = ScopedRoute.table[place].route
      let parameters = parameters.map { String(decoding: $0, as: UTF8.self) }
      if route.namesScope, ScopeKind(rawValue: parameters[0]) == nil { throw ScopedFailure(code: .notFound) }
      if service.isSealed { throw ScopedFailure(code: .sealed) }
      if route == .enrol { return try enrol(request) }
      return try keyed(route, parameters, request)
    }
  }

  /// False where the matched pattern begins with a scope and the path with another word.
  private func namesKnownScope(_ target: RequestTarget) -> Bool {
    guard let lastPattern, Self.patterns[lastPattern].hasPrefix("/agent/secrets/{scope}/") else { return true }
    return ScopeKind(rawValue: String(decoding: target.segments[2], as: UTF8.self)) != nil
  }

  private func keyed(_ route: ScopedRoute, _ parameters: [String], _ request: Request) throws(ScopedFailure) -> Answer {
    let caller: AgentCaller
    do throws(ScopedFailure) {
      guard let token = request.bearerToken else { throw ScopedFailure(code: .unauthenticated) }
      caller = try desk.authenticateAgent(token, address: request.peer.address)
    } catch { return .now(failedCredential(error, request)) }
    desk.caller = caller.principal
    service.noteUse(of: caller)
    let now = service.now()
    let verdict = route.rateClass.map { service.limiter.take($0, for: caller, now: now) } ?? service.limiter.shown(to: caller, now: now)
    let decoration = Decoration(caller, verdict)
    guard verdict.isAllowed else {
      return .now(decoration.apply(to: Failure.response(Refusal(.rateLimited), request, at: service.now())))
    }
    let call = Call(caller: caller, request: request, parameters: parameters)
    return decorated(counted(guarded(route, call), call), decoration)
  }

  private func failedCredential(_ failure: ScopedFailure, _ request: Request) -> Response {
    switch failure.refusal.code {
    case .unauthenticated, .keyExpired, .keyRevoked:
      let waits = service.limiter.refusal(ofFailureFrom: request.peer.address, now: service.now())
      return Failure.response(waits ?? failure.refusal, request, at: service.now())
    default: return Failure.response(failure.refusal, request, at: service.now())
    }
  }

  /// A refusal that belongs into the audit chain is written there before it is sent.
  private func guarded(_ route: ScopedRoute, _ call: Call) -> Answer {
    do throws(ScopedFailure) {
      return try answer(route, call)
    } catch {
      let service = service
      guard error.denial != nil else { return .now(Failure.response(error.refusal, call.request, at: service.now())) }
      return .later { send in
        service.refuse(error, by: call.caller.principal, call.origin) { failure in
          send(Failure.response(failure.refusal, call.request, at: service.now()))
        }
      }
    }
  }

  /// Takes one of a token's uses, when they are numbered, before anything is answered.
  private func counted(_ answer: Answer, _ call: Call) -> Answer {
    guard let limit = call.caller.maxUses else { return answer }
    let service = service
    do throws(ScopedFailure) { try desk.grantUse(of: call.caller, limit: limit) } catch {
      return .now(Failure.response(error.refusal, call.request, at: service.now()))
    }
    return .later { send in
      service.takeUse(of: call.caller, limit: limit) { failure in
        if let failure { return send(Failure.response(failure.refusal, call.request, at: service.now())) }
        switch answer {
        case .now(let response): send(response)
        case .later(let start): start(send)
        }
      }
    }
  }

  private func decorated(_ answer: Answer, _ decoration: Decoration) -> Answer {
    switch answer {
    case .now(let response): .now(decoration.apply(to: response))
    case .later(let start): .later { send in start { send(decoration.apply(to: $0)) } }
    }
  }

  private func answer(_ route: ScopedRoute, _ call: Call) throws(ScopedFailure) -> Answer {
    switch route {
    case .whoami: return .now(whoami(call))
    case .limits: return .now(limits(call))
    case .createToken: return try createToken(call)
    case .revokeToken: return revokeToken(call)
    case .enrol: throw ScopedFailure(code: .notFound)
    case .scopes: return .now(try scopes(call))
    case .list: return .now(try list(call))
    case .secret: return try secret(call)
    case .putSecret: return try putSecret(call)
    case .patchSecret: return try patchSecret(call)
    case .deleteSecret: return try deleteSecret(call)
    case .field: return try field(call)
    case .setField: return try setField(call)
    case .removeField: return try removeField(call)
    case .versions: return .now(try versions(call))
    case .rollBack: return try rollBack(call)
    case .history: return .now(try history(call))
    case .generateDataKey: return try generateDataKey(call)
    case .decryptDataKey: return try decryptDataKey(call)
    case .effectiveList: return .now(try effectiveList(call))
    case .effectiveSecret: return try effectiveSecret(call)
    case .effectiveField: return try effectiveField(call)
    }
  }
}

/// One authenticated request on its way through a handler.
final class Call: Sendable {
  let caller: AgentCaller
  let request: Request
  /// The path's parameters in their order.
  let parameters: [String]

  init(caller: AgentCaller, request: Request, parameters: [String]) {
    self.caller = caller
    self.request = request
    self.parameters = parameters
  }

  var origin: RequestOrigin { RequestOrigin(id: request.id, address: request.peer.address) }
}

/// What every answer to an agent's key carries.
struct Decoration: Sendable {
  let verdict: RateVerdict
  private let endsAt: String?

  init(_ caller: AgentCaller, _ verdict: RateVerdict) {
    self.verdict = verdict
    endsAt = caller.isRetiring ? caller.expiresAt.map(Wire.timeText) : nil
  }

  func apply(to response: Response) -> Response {
    var response = response
    response.headers += [
      ("X-RateLimit-Limit", String(verdict.limit)), ("X-RateLimit-Remaining", String(verdict.remaining)),
      ("X-RateLimit-Reset", String(verdict.reset)),
    ]
    if !verdict.isAllowed { response.headers.append(("Retry-After", String(verdict.retryAfter))) }
    if let endsAt { response.headers += [("X-Key-Deprecated", "true"), ("X-Key-Expires-At", endsAt)] }
    return response
  }
}
