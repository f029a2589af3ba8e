internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// `/admin/v1/root`: the key above all others. Ids and figures, never a key; it is changed on the host alone.
extension AdminAPI {
  func root(_ request: Request) throws(AdminFailure) -> Response {
    let service = desk.service
    let status = try served { () throws(ServiceError) in try service.rootStatus() }
    let keks: [JSONValue] = status.keks.sorted { $0.key < $1.key }.map { id, count in
      ["rootKeyId": AdminRendering.text(id), "keks": .number(JSONNumber(count))]
    }
    return ok(
      [
        "rootKeyId": AdminRendering.text(status.id), "file": status.file.map(AdminRendering.text) ?? .null,
        "waitingKeyId": status.waiting.map(AdminRendering.text) ?? .null, "wrapped": .array(keks),
      ], request)
  }

  /// The new key is the one that waits in its file on this host, or a fresh one; never one from the wire.
  func rewrapRoot(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let body = request.body.isEmpty ? JSONObject() : try AdminBody.object(request, members: ["acceptBrokenAudit"])
    let accepts = body["acceptBrokenAudit"]?.bool ?? false
    return try walking(request) { desk, finish in
      let service = desk.service
      let change = try service.rotateRoot(acceptsBrokenAudit: accepts, by: principal, requestID: request.id)
      finish(.success(Self.ok(change.json, request, at: service.now())))
    }
  }
}

extension RootRotation {
  fileprivate var json: JSONValue {
    func number(_ count: Int) -> JSONValue { .number(JSONNumber(count)) }
    return [
      "rootKeyId": AdminRendering.text(new), "oldRootKeyId": AdminRendering.text(old), "tenants": number(tenants), "keks": number(keks),
      "rows": number(rows), "unprovenRows": number(unproven), "erased": .bool(isErased), "file": AdminRendering.text(file),
      "retiredFile": retired.map(AdminRendering.text) ?? .null, "trouble": trouble.map(AdminRendering.text) ?? .null,
      "proof": [
        "ok": .bool(proof.isGood), "keks": number(proof.keks), "rows": number(proof.rows),
        "failures": .array(proof.failures.map(AdminRendering.text)),
      ],
    ]
  }
}
