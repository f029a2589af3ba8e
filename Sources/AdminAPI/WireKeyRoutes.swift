internal import HTTPMessages
internal import KeyRing
internal import Model
internal import Service
internal import StrictJSON

/// `/admin/v1/wire-keys`: what seals and opens the tokens of encrypted mode. Changes are for the host alone.
extension AdminAPI {
  /// The keys of this process, the one that seals first. Ids, never the keys.
  func wireKeys(_ request: Request) throws(AdminFailure) -> Response {
    let ring = desk.service.wire
    let keys = (ring.primary.map { [$0] } ?? []).map { Self.shown($0, true) } + ring.retired.map { Self.shown($0, false) }
    return try page(of: Array(keys.enumerated()), key: \.offset, json: \.element, request)
  }

  private static func shown(_ key: WireKey, _ isPrimary: Bool) -> JSONValue {
    let origin: String =
      switch key.origin {
      case .variable: "environment"
      case .file(let path): path
      case .given: "given"
      }
    return [
      "id": AdminRendering.text(key.id), "origin": AdminRendering.text(origin), "isPrimary": .bool(isPrimary),
      "since": key.madeAt.map(AdminRendering.time) ?? .null,
    ]
  }

  func rotateWireKey(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let service = desk.service
    return .later { send in
      service.rotateWireKey(by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { fresh in
          Self.ok(["id": AdminRendering.text(fresh.id), "old": AdminRendering.text(fresh.old)], request, at: now)
        }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  func retireWireKey(_ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let service = desk.service
    return .later { send in
      service.retireWireKey(id, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { Self.ok(["id": AdminRendering.text(id)], request, at: now) }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }
}
