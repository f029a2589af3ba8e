internal import HTTPMessages
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON
internal import Threads

/// `POST /admin/v1/tenants/{tenant}/export/openhands`, on the control socket alone: the answer holds every secret as a token.
extension AdminAPI {
  func exportOpenHands(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let key = try AdminBody.object(request, members: ["key"])["key"]
    if let key, key.string?.utf8.isEmpty ?? true { throw .invalid("key must be a text.") }
    let service = desk.service
    let origin = RequestOrigin(id: request.id, address: request.peer.address)
    let ring = key?.string.map { WireRing(primary: SecretBytes(copying: $0.utf8)) } ?? service.wire
    // Reading and sealing a large tenant takes a while: not on a loop's time.
    return .later { send in
      PlainThread.start(named: "coffer-export") {
        let export: OpenHandsExport
        do {
          export = try Desk(service).exportOpenHands(tenant: tenant, ring: ring, origin)
        } catch {
          let failure = (error as? ServiceError) ?? .unavailable
          return send(Self.response(.failure(.service(failure)), request, at: service.now()))
        }
        service.record(export.event, by: .localOperator(tenant: tenant), requestID: request.id) { result in
          let response = result.map { Self.ok(export.json(sealedBy: ring), request, at: service.now()) }
          send(Self.response(response.mapError(AdminFailure.service), request, at: service.now()))
        }
      }
    }
  }
}

extension OpenHandsExport {
  fileprivate func json(sealedBy ring: WireRing) -> JSONValue {
    let files = files.map { JSONObject.Member(name: JSONString($0.path), value: $0.content) }
    let key: JSONValue =
      switch ring.primary?.origin {
      case .variable(let name): .string(JSONString(name))
      case .file(let path): .string(JSONString(path))
      case .given, nil: .null
      }
    return [
      "files": .object(JSONObject(uniqueMembers: files)), "notOpened": .array(notOpened.map { .string(JSONString($0)) }), "key": key,
    ]
  }
}
