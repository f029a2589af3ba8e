internal import EventLog
internal import HTTPClient
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

/// Tells the heads of the audit chains, so that somebody else has them (scoped spec, section 7): those that changed, into the log
/// and to a webhook.
///
/// A POST holds `{"at","heads":[{"tenant","sequence","hash"}]}`, which `coffer verify --heads` takes as it is. It comes also when
/// nothing changed: one that stays away is a sign.
final class HeadTeller: Sendable {
  struct Webhook: Sendable {
    let url: String
    let token: SecretBytes?
  }

  /// Milliseconds from the start to the first time, and until a POST that failed is tried again.
  private static let (first, retry): (Int64, Int64) = (5_000, 10_000)
  /// Heads in one POST, and lines in the log each time.
  private static let (perPost, perLog) = (1_000, 100)

  private let end = OneTimeEvent()

  /// nil when they are never told.
  init?(minutes: Int, to webhook: Webhook?, _ service: Service, _ log: QueuedLog) {
    guard minutes > 0 else { return nil }
    let (end, period) = (end, Int64(minutes) * 60_000)
    PlainThread.start(named: "coffer-heads") {
      var (logged, sent): ([String: AuditHead], [String: AuditHead]) = ([:], [:])
      var wait = Self.first
      while !end.wait(atMost: wait) {
        wait = period
        guard let heads = try? Self.heads(service) else { continue }
        Self.write(heads.filter { logged[$0.tenant] != $0.head }, to: log)
        logged = Dictionary(uniqueKeysWithValues: heads)
        guard let webhook else { continue }
        if let failure = Self.send(heads.filter { sent[$0.tenant] != $0.head }, to: webhook, service.now()) {
          // At the end of the process nobody waits for an answer.
          if !end.wait(atMost: 0) { log.write(.auditHeadsNotSent(failure)) }
          wait = min(period, Self.retry)
        } else {
          sent = logged
        }
      }
    }
  }

  func stop() { end.signal() }

  private typealias Told = (tenant: String, head: AuditHead)

  private static func heads(_ service: Service) throws -> [Told] {
    let desk = try Desk(service)
    var heads: [Told] = []
    try desk.eachTenantEver { tenant throws(ServiceError) in
      if let head = try desk.auditHead(tenant: tenant.id) { heads.append((tenant.id, head)) }
    }
    return heads
  }

  private static func write(_ heads: [Told], to log: QueuedLog) {
    for (tenant, head) in heads.prefix(perLog) {
      log.write(.auditHead(tenant: tenant, sequence: head.sequence, hash: WireText.hexadecimalText(head.hash)))
    }
    if heads.count > perLog { log.write(.auditHeadsLeftOut(count: heads.count - perLog)) }
  }

  /// Why they could not be sent; nil when they were. Never the URL, which may be a credential itself.
  private static func send(_ heads: [Told], to webhook: Webhook, _ now: Int64) -> String? {
    var rest = heads[...]
    repeat {
      if let failure = post(Array(rest.prefix(perPost)), to: webhook, now) { return failure }
      rest = rest.dropFirst(perPost)
    } while !rest.isEmpty
    return nil
  }

  private static func post(_ heads: [Told], to webhook: Webhook, _ now: Int64) -> String? {
    let body: JSONValue = [
      "at": .string(JSONString(UTCTime(unixMicroseconds: now * 1000).text)),
      "heads": .array(
        heads.map { told in
          [
            "tenant": .string(JSONString(told.tenant)), "sequence": .number(JSONNumber(told.head.sequence)),
            "hash": .string(JSONString(WireText.hexadecimalText(told.head.hash))),
          ]
        }),
    ]
    do throws(HTTPFailure) {
      let reply = try HTTPClient(HTTPClient.Options(deadline: 10, connectDeadline: 5, maximumBody: 64 << 10)).send(
        HTTPRequest(
          "POST", webhook.url, fields: [("Content-Type", "application/json")],
          secretFields: webhook.token.map { [HTTPRequest.bearer($0)] } ?? [],
          body: SecretBytes(copying: body.serialized())))
      return (200...299).contains(reply.status) ? nil : "the webhook answered \(reply.status)"
    } catch {
      return switch error {
      case .invalidRequest: "the webhook's address or token cannot be sent"
      case .unreachable: "the webhook cannot be reached"
      case .notTrusted: "the webhook's certificate is not trusted"
      case .timedOut: "the webhook did not answer in time"
      case .cutOff: "the webhook broke off"
      case .tooLarge: "the webhook answered too much"
      case .unusable: "libcurl does not work"
      }
    }
  }
}
