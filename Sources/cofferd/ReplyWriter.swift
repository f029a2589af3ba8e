internal import EventLog
internal import HTTPMessages
internal import Responder

/// From the responder's replies to the log's lines.
struct ReplyWriter: ReplyObserver {
  private let log: QueuedLog
  private let patterns: [String]

  init(_ log: QueuedLog, patterns: [String]) {
    self.log = log
    self.patterns = patterns
  }

  func wants(status: Int) -> Bool { log.concerns(status: status) }

  func replied(_ reply: Reply) {
    log.note(
      RequestEvent(
        requestID: reply.requestID, method: reply.method == .other ? "OTHER" : reply.method.rawValue, route: patterns[reply.mark.pattern],
        status: reply.status, microseconds: reply.microseconds, tenant: reply.mark.tenant, keyID: reply.mark.keyID))
  }
}
