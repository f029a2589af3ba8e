internal import HTTPMessages
internal import SecretMemory
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

  /// A thread of its own, and one walk at a time, as for one chain. A body, when there is one, holds heads that were told
  /// earlier: `{"heads":[{"tenant","sequence","hash"}]}`.
  func verify(_ request: Request) throws(AdminFailure) -> Answer {
    guard request.peer.isLocalOperator else { throw .noRoute }
    let heads = request.body.count == 0 ? [:] : try Self.heads(request)
    let (facts, service) = (facts, desk.service)
    guard !facts.isVerifying.exchange(true, ordering: .acquiringAndReleasing) else { throw .verificationRuns }
    return .later { send in
      PlainThread.start(named: "coffer-verify") {
        let result: Result<Response, AdminFailure>
        do throws(ServiceError) {
          result = .success(Self.ok(try Verification(service, heads: heads).run().json, request, at: service.now()))
        } catch { result = .failure(.service(error)) }
        facts.isVerifying.store(false, ordering: .releasing)
        send(Self.response(result, request, at: service.now()))
      }
    }
  }
}

extension AdminAPI {
  private static let headLimits = JSONLimits(bytes: 16 << 20, depth: 4, members: 500_000)

  private static func heads(_ request: Request) throws(AdminFailure) -> [String: AuditHead] {
    let rule = AdminFailure.invalid("heads must be a list of objects with tenant, sequence and hash.")
    guard let list = try AdminBody.object(request, members: ["heads"], limits: headLimits)["heads"]?.array else { throw rule }
    var heads: [String: AuditHead] = [:]
    for element in list {
      guard let head = element.object, let tenant = head["tenant"]?.string?.text, let sequence = head["sequence"]?.number?.int64,
        sequence >= 0
      else { throw rule }
      // The head of a chain without entries says nothing.
      if sequence == 0 { continue }
      guard let hash = head["hash"]?.string.flatMap({ bytes(hexadecimal: $0.utf8) }), hash.count == 32 else { throw rule }
      heads[tenant] = AuditHead(sequence: sequence, hash: hash)
    }
    return heads
  }

  /// nil for what is not pairs of lower-case digits.
  private static func bytes(hexadecimal text: [UInt8]) -> [UInt8]? {
    let digits = text.compactMap { digit -> UInt8? in
      switch digit {
      case 0x30...0x39: digit - 0x30
      case 0x61...0x66: digit - 0x57
      default: nil
      }
    }
    guard digits.count == text.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
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
