internal import HTTPMessages
internal import KeyRing
internal import Model
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

/// `GET /admin/v1/tenants/{tenant}/audit/export`: the chain as lines that `coffer audit verify --file` reads (docs/formats.md). Where it does
/// not fit into one answer, `X-Next-Cursor` says where it goes on: the answers one behind the other are the export.
extension AdminAPI {
  /// Bytes. The entry that fills an answer is its last one: entries that name many rows are long.
  private static let exportedBytes = 4 << 20
  /// Entries that are read at once.
  private static let batch = 200

  func exportAudit(_ tenant: String, _ request: Request) throws(AdminFailure) -> Answer {
    let query = try ListQuery(request, desk, ["after"], .exported)
    let (service, facts) = (desk.service, facts)
    // Thousands of entries are not for a loop's time.
    return .later { send in
      PlainThread.start(named: "coffer-export") {
        let result: Result<Response, AdminFailure>
        do {
          result = .success(try AdminAPI(desk: try Desk(service), facts: facts).exportedPart(tenant, query))
        } catch { result = .failure((error as? AdminFailure) ?? .service(.unavailable)) }
        send(Self.response(result, request, at: service.now()))
      }
    }
  }

  private func exportedPart(_ tenant: String, _ query: ListQuery) throws(AdminFailure) -> Response {
    // The first line and the entries are of one snapshot.
    desk.readsEntries()
    let checkpoint = try served { () throws(ServiceError) in try desk.auditCheckpoint(tenant: tenant) }
    var writer = JSONWriter(reserving: 64 << 10)
    var last: Int64
    if let place = try query.position(ExportPlace.self) {
      let cut = checkpoint.flatMap(AuditCheckpoint.init)?.sequence ?? 0
      guard place.rootKeyID == desk.service.rootKeyID, place.sequence >= cut else {
        throw .refused(.invalid("/query/cursor", "of this root key, and behind which nothing was cut since: begin the export again"))
      }
      last = place.sequence
    } else {
      last = try query.sequence()
      // What begins behind an entry goes on with an earlier export.
      if last == 0 { writer.appendLine(try firstLine(tenant, checkpoint)) }
    }
    var count = 0
    var headers: [(name: StaticString, value: String)] = []
    reading: while true {
      let (after, wanted) = (last, min(query.fetched - count, Self.batch))
      let rows = try served { () throws(ServiceError) in try desk.auditEntries(tenant: tenant, after: after, limit: wanted) }
      for row in rows {
        guard count < query.limit, writer.bytes.count < Self.exportedBytes else {
          let place = ExportPlace(rootKeyID: desk.service.rootKeyID, sequence: last)
          headers.append(("X-Next-Cursor", try query.cursor(behind: place)))
          break reading
        }
        writer.appendLine(AdminRendering.exported(row))
        (count, last) = (count + 1, row.sequence)
      }
      if rows.count < wanted { break }
    }
    return Response(status: Status(200), contentType: "application/x-ndjson", headers: headers, body: .bytes(writer.bytes))
  }

  private func firstLine(_ tenant: String, _ checkpoint: [UInt8]?) throws(AdminFailure) -> JSONValue {
    let change = try served { () throws(ServiceError) in try desk.auditRootChange(tenant: tenant) }
    func shown(_ bytes: [UInt8]?) -> JSONValue { bytes.map { AdminRendering.text(AdminRendering.hexadecimal($0)) } ?? .null }
    return [
      "format": "coffer-audit/1", "tenant": AdminRendering.text(tenant), "checkpoint": shown(checkpoint), "rootChange": shown(change),
      "rootKeyId": AdminRendering.text(desk.service.rootKeyID),
    ]
  }
}

extension JSONWriter {
  fileprivate mutating func appendLine(_ value: JSONValue) {
    append(value)
    appendRaw("\n")
  }
}

/// Behind which entry an export goes on, and the root key that its first line names: MACs of another one would not fit.
private struct ExportPlace: LosslessStringConvertible {
  let rootKeyID: String
  let sequence: Int64

  init(rootKeyID: String, sequence: Int64) { (self.rootKeyID, self.sequence) = (rootKeyID, sequence) }

  init?(_ description: String) {
    let parts = description.split(separator: "/")
    guard parts.count == 2, let sequence = Int64(parts[1]) else { return nil }
    self.init(rootKeyID: String(parts[0]), sequence: sequence)
  }

  var description: String { "\(rootKeyID)/\(sequence)" }
}
