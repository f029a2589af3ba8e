internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// Bodies of the routes of the structure: JSON objects whose unknown members are ignored (scoped spec, section 1.2).
struct StructureBody {
  let object: JSONObject

  init(_ request: Request) throws(AdminFailure) {
    guard let type = request[.contentType], AdminBody.isJSON(type) else { throw .mediaType }
    let value: JSONValue
    do {
      value = try request.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: .scoped) }
    } catch { throw .malformedJSON(offset: error.offset) }
    guard let object = value.object else { throw .refused(.invalid("", "an object")) }
    self.object = object
  }

  private init(_ object: JSONObject) { self.object = object }

  func name(_ member: JSONString = "name") throws(AdminFailure) -> String {
    guard let name = object[member]?.string.flatMap({ ScopedNames.title($0.text) }) else {
      throw .refused(.invalid("/" + member.text, ScopedNames.titleRule))
    }
    return name
  }

  /// nil when absent, nil inside when null.
  func optionalText(_ member: JSONString) throws(AdminFailure) -> String?? {
    guard let value = object[member] else { return .none }
    if value.isNull { return .some(nil) }
    guard let text = value.string?.text, text.unicodeScalars.count <= ScopedNames.maximumDescription else {
      throw .refused(.invalid("/" + member.text, "a text of up to 1000 characters"))
    }
    return .some(text)
  }

  // MARK: - Keys

  func key(now: Int64) throws(AdminFailure) -> AgentKeyPlan { try key(named: try name(), now: now) }

  private func key(named name: String, now: Int64) throws(AdminFailure) -> AgentKeyPlan {
    var plan = AgentKeyPlan(name: name, expiresAt: try expiry(now: now))
    do throws(Refusal) { plan.grants = try KeyGrants(object) } catch { throw .refused(error) }
    return plan
  }

  /// `issueKey`: an object of a key's attributes, or true for a usual one.
  func issuedKey(named name: String, now: Int64) throws(AdminFailure) -> AgentKeyPlan? {
    switch object["issueKey"] {
    case nil, .null, .bool(false): return nil
    case .bool(true): return AgentKeyPlan(name: name, expiresAt: now + AgentKeyPlan.usualLife)
    case .object(let wanted):
      let body = StructureBody(wanted)
      return try body.key(named: wanted["name"] == nil ? name : try body.name(), now: now)
    default: throw .refused(.invalid("/issueKey", "an object"))
    }
  }

  /// `expiresIn` in seconds or `expiresAt`; neither means 90 days, null no end.
  private func expiry(now: Int64) throws(AdminFailure) -> Int64? {
    guard object["expiresAt"] == nil || object["expiresIn"] == nil else {
      throw .refused(.invalid("/expiresIn", "not together with expiresAt"))
    }
    if let value = object["expiresAt"] {
      if value.isNull { return nil }
      do throws(Refusal) { return try value.end("/expiresAt", after: now) } catch { throw .refused(error) }
    }
    guard let value = object["expiresIn"] else { return now + AgentKeyPlan.usualLife }
    if value.isNull { return nil }
    guard let seconds = value.number?.int64, (1...315_360_000).contains(seconds) else {
      throw .refused(.invalid("/expiresIn", "a number of seconds from 1 to 315360000"))
    }
    return now + seconds * 1000
  }

  // MARK: - Invites

  struct InvitePlan {
    let label: String
    let memberships: [MembershipPlan]
    let expiresAt: Int64
    let maxUses: Int64
  }

  /// Seven days and one use unless something else is said.
  func invite(now: Int64) throws(AdminFailure) -> InvitePlan {
    var memberships: [MembershipPlan] = []
    if let value = object["memberships"], !value.isNull {
      guard let array = value.array, array.count <= 256 else { throw .refused(.invalid("/memberships", "an array")) }
      for (index, element) in array.enumerated() {
        do throws(Refusal) {
          memberships.append(try MembershipPlan(element.object ?? JSONObject(), pointer: "/memberships/\(index)", after: now))
        } catch { throw .refused(error) }
      }
    }
    var uses: Int64 = 1
    if let value = object["maxUses"], !value.isNull {
      guard let number = value.number?.int64, (1...1_000_000).contains(number) else {
        throw .refused(.invalid("/maxUses", "an integer from 1 to 1000000"))
      }
      uses = number
    }
    let expires = object["expiresAt"] == nil && object["expiresIn"] == nil ? now + 7 * 86_400_000 : try expiry(now: now)
    guard let expires else { throw .refused(.invalid("/expiresAt", "a time: invites end")) }
    return InvitePlan(label: try name("label"), memberships: memberships, expiresAt: expires, maxUses: uses)
  }
}

extension AdminAPI {
  func refused<T>(_ body: () throws(ScopedFailure) -> T) throws(AdminFailure) -> T {
    do { return try body() } catch { throw .refused(error.refusal) }
  }

  /// A page of rows that the desk reads in order of their ids.
  func list<Row>(
    _ request: Request, id: (Row) -> String, json: (Row) -> JSONObject, _ rows: (ListQuery) throws(ScopedFailure) -> [Row]
  ) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    let rows = try refused { () throws(ScopedFailure) in try rows(query) }
    return try page(query, rows, key: id, json: { .object(json($0)) }, request)
  }

  /// Runs a change of a tenant's structure and sends what it renders; with an Idempotency-Key a repetition gets the same answer.
  func structure(
    _ tenant: String, _ request: Request, _ principal: Principal, status: Int = 200,
    statusOf: (@Sendable (JSONValue) -> Int)? = nil, _ body: @escaping @Sendable (StructureTransaction) throws -> JSONValue
  ) -> Answer {
    let service = desk.service
    let origin = RequestOrigin(id: request.id, address: request.peer.address)
    let claim: IdempotencyClaim?
    do throws(ScopedFailure) {
      claim = try IdempotencyClaim(
        request[.idempotencyKey], by: principal.actor.rawValue + principal.keyID, request.method.rawValue,
        path: request.target.rawPath, query: request.target.rawQuery, body: request.body)
    } catch { return .now(Self.response(.failure(.refused(error.refusal)), request, at: service.now())) }
    return .later { send in
      service.structure(of: tenant, by: principal, origin, once: claim) { change in
        let data = try body(change)
        return StoredAnswer(status: statusOf?(data) ?? status, body: Self.answer(data, request, at: service.now()))
      } completion: { result in
        let response = result.map { answer in
          Response(
            status: Status(answer.status), contentType: "application/json", headers: Self.warning(answer.warning), body: .bytes(answer.body)
          )
        }
        send(Self.response(response.mapError { .refused($0.refusal) }, request, at: service.now()))
      }
    }
  }

  private static func warning(_ quotas: String?) -> [(name: StaticString, value: String)] {
    guard let quotas else { return [] }
    return [("X-Quota-Warning", quotas)]
  }

  /// Takes something with an id out of the structure; `?cascade=true` takes what hangs on it too.
  func delete(
    _ tenant: String, _ id: String, _ request: Request, _ principal: Principal,
    _ body: @escaping @Sendable (StructureTransaction, _ cascades: Bool) throws -> Void
  ) throws(AdminFailure) -> Answer {
    let cascades = try request.target.flag("cascade")
    return structure(tenant, request, principal) { change in
      try body(change, cascades)
      return ["id": AdminRendering.text(id), "deleted": true]
    }
  }

  /// The same as `structure` for an answer that may show a key: an Idempotency-Key is ignored, since nothing with a key is kept.
  func shown(
    _ tenant: String, _ request: Request, _ principal: Principal, _ body: @escaping @Sendable (StructureTransaction) throws -> ShownKey
  ) -> Answer {
    let service = desk.service
    let origin = RequestOrigin(id: request.id, address: request.peer.address)
    return .later { send in
      service.structure(of: tenant, by: principal, origin) { change in
        (key: try body(change), warning: change.quotas.warning)
      } completion: { result in
        let now = service.now()
        let response = result.map { made in
          var response = made.key.response(request, at: now)
          response.headers += Self.warning(made.warning)
          return response
        }
        send(Self.response(response.mapError { .refused($0.refusal) }, request, at: now))
      }
    }
  }
}
