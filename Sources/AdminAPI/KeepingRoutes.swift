internal import HTTPMessages
internal import Service
internal import Store
internal import StrictJSON
internal import Synchronization
internal import Threads

/// `POST /admin/v1/backup` and `POST /admin/v1/verify`, on the control socket alone: whoever holds a network key must not
/// choose a path on this machine, nor make it read its whole store.
extension AdminAPI {
  private static let maximumPath = 3500

  func backUp(_ request: Request) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let body = try AdminBody.object(request, members: ["path", "replace"])
    guard let path = body["path"]?.string, path.utf8.first == UInt8(ascii: "/"), path.utf8.last != UInt8(ascii: "/"),
      path.utf8.count <= Self.maximumPath, !path.utf8.contains(0)
    else { throw .invalid("path must be the absolute path of a file.") }
    let replaces = body["replace"]?.bool ?? false
    let service = desk.service
    return .later { send in
      let operatorHere = Principal.localOperator(tenant: service.defaultTenant)
      service.backUp(to: path.text, replaces: replaces, by: operatorHere, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { Self.ok($0.json, request, at: now) }
        send(Self.response(response.mapError { AdminFailure.backup($0, path: path.text) }, request, at: now))
      }
    }
  }

  /// A thread of its own, and one walk at a time, as for one chain.
  func verify(_ request: Request) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let (facts, service) = (facts, desk.service)
    guard !facts.isVerifying.exchange(true, ordering: .acquiringAndReleasing) else { throw .verificationRuns }
    return .later { send in
      PlainThread.start(named: "coffer-verify") {
        let result: Result<Response, AdminFailure>
        do throws(ServiceError) {
          result = .success(Self.ok(try Verification(service).run().json, request, at: service.now()))
        } catch { result = .failure(.service(error)) }
        facts.isVerifying.store(false, ordering: .releasing)
        send(Self.response(result, request, at: service.now()))
      }
    }
  }
}

extension BackupReport {
  fileprivate var json: JSONValue {
    [
      "bytes": .number(JSONNumber(bytes)), "schema": .number(JSONNumber(schema)),
      "tenants": .number(JSONNumber(chains.count)), "heads": .array(chains.map(AdminRendering.chain)),
    ]
  }
}

extension VerificationReport {
  fileprivate var json: JSONValue {
    func number(_ count: Int) -> JSONValue { .number(JSONNumber(count)) }
    return [
      "ok": .bool(isSound), "tenants": number(tenants), "apiKeys": number(apiKeys), "secrets": number(secrets),
      "documents": number(documents), "auditEntries": number(auditEntries), "findingCount": number(findingCount),
      "findings": .array(
        findings.map { finding in
          [
            "tenant": AdminRendering.text(finding.tenant), "place": AdminRendering.text(finding.place),
            "problem": AdminRendering.text(finding.problem.rawValue), "text": AdminRendering.text(finding.problem.text),
          ]
        }),
      "heads": .array(chains.map(AdminRendering.chain)),
    ]
  }
}
