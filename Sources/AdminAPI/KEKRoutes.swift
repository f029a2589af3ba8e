internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON
internal import Synchronization
internal import Threads

/// A tenant's key encryption keys and the re-wrap after a rotation (scoped spec, sections 6.6 and 10). Ids and figures, never keys.
extension AdminAPI {
  func keks(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let keks = try served { () throws(ServiceError) in try desk.keks(tenant: tenant) }
    return try page(of: keks, key: \.version, json: { .object($0.json) }, request)
  }

  func rotateKEK(_ tenant: String, _ request: Request, _ principal: Principal) -> Answer {
    structure(tenant, request, principal, status: 201) { change in .object(try change.rotateKEK().json) }
  }

  /// `{"activeVersion","rewrappedRows","versions":[{"version","rows"}]}`: how many rows are under each version now, and how many
  /// this process has re-wrapped, of all tenants.
  func rewrap(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    let service = desk.service
    return try countingRows(request) { () throws(ServiceError) in
      let use = try service.kekUse(tenant: tenant)
      let versions: [JSONValue] = use.rows.sorted { $0.key < $1.key }.map { version, rows in
        ["version": .number(JSONNumber(version)), "rows": .number(JSONNumber(rows))]
      }
      return [
        "activeVersion": .number(JSONNumber(use.active)), "rewrappedRows": .number(JSONNumber(service.rewrapping.rewrappedRows)),
        "isDone": .bool(use.rows.keys.allSatisfy { $0 == use.active }), "versions": .array(versions),
      ]
    }
  }

  func disableKEK(_ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let id = parameters[1]
    guard let version = UInt32(parameters[2]), version > 0 else { throw .service(.notFound) }
    let service = desk.service
    let origin = RequestOrigin(id: request.id, address: request.peer.address)
    return try countingRows(request) { () throws(ServiceError) in
      let isErased = try service.disableKEK(id, version: version, tenant: tenant, by: principal, origin)
      return ["id": AdminRendering.text(id), "version": .number(JSONNumber(version)), "disabled": true, "erased": .bool(isErased)]
    }
  }

  /// Runs what reads all rows of a tenant on a thread of its own, one at a time.
  private func countingRows(_ request: Request, _ work: @escaping @Sendable () throws(ServiceError) -> JSONValue) throws(AdminFailure)
    -> Answer
  {
    let (facts, service) = (facts, desk.service)
    guard !facts.isCounting.exchange(true, ordering: .acquiringAndReleasing) else { throw .countRuns }
    return .later { send in
      PlainThread.start(named: "coffer-count") {
        let result: Result<Response, AdminFailure>
        do throws(ServiceError) { result = .success(Self.ok(try work(), request, at: service.now())) } catch {
          result = .failure(.service(error))
        }
        facts.isCounting.store(false, ordering: .releasing)
        send(Self.response(result, request, at: service.now()))
      }
    }
  }
}

extension KEKView {
  fileprivate var json: JSONObject {
    var object = JSONObject()
    object["id"] = AdminRendering.text(id)
    object["version"] = .number(JSONNumber(version))
    object["state"] = AdminRendering.text(state.rawValue)
    object["createdAt"] = AdminRendering.time(createdAt)
    object["usesReserved"] = .number(JSONNumber(usesReserved))
    return object
  }
}
