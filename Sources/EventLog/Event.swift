package import Configuration
internal import StrictJSON

/// One request, as far as a log may know it. The route is a pattern of ours and the ids are ours; the request's id alone
/// may be a client's choice.
package struct RequestEvent: Sendable {
  package let requestID: String
  package let method: String
  package let route: String
  package let status: Int
  package let microseconds: UInt64
  /// Empty when no key was accepted.
  package let tenant: String
  package let keyID: String

  package init(
    requestID: String, method: String, route: String, status: Int, microseconds: UInt64, tenant: String, keyID: String
  ) {
    self.requestID = requestID
    self.method = method
    self.route = route
    self.status = status
    self.microseconds = microseconds
    self.tenant = tenant
    self.keyID = keyID
  }
}

/// Somebody read a canary secret. Who and which, never what.
package struct CanaryEvent: Sendable {
  package let tenant: String
  /// The secret's place in the audit chain.
  package let secret: String
  /// Empty when all of a secret was read.
  package let fieldKey: String
  package let action: String
  package let actor: String
  /// Of an agent; empty otherwise.
  package let actorID: String
  /// Empty when no key of Coffer was used.
  package let keyID: String
  package let address: String
  package let requestID: String

  package init(
    tenant: String, secret: String, fieldKey: String, action: String, actor: String, actorID: String, keyID: String, address: String,
    requestID: String
  ) {
    self.tenant = tenant
    self.secret = secret
    self.fieldKey = fieldKey
    self.action = action
    self.actor = actor
    self.actorID = actorID
    self.keyID = keyID
    self.address = address
    self.requestID = requestID
  }
}

/// What can be logged is this list; there is no way to hand it a header, a path, a body or a value.
package enum Event: Sendable {
  case started(version: String, socket: String, threads: Int)
  case warning(ConfigurationWarning)
  case restartRequested
  case restartFailed
  case successorReady(pid: Int32)
  case draining
  case stopped(requests: UInt64)
  case auditCut(entries: Int64)
  case auditNotCut(String)
  case auditHead(tenant: String, sequence: Int64, hash: String)
  case auditHeadsLeftOut(count: Int)
  case auditHeadsNotSent(String)
  case keysRotated(count: Int)
  case rowsRewrapped(rows: Int, unreadable: Int)
  case rowsNotRewrapped(String)
  case storeFailed(String)
  case startRefused(String)
  case request(RequestEvent)
  case requestFailed(RequestEvent)
  case keyRefused(RequestEvent)
  case canaryRead(CanaryEvent)
  case sealed(isRecorded: Bool)
  case unsealed
  case linesLeftOut(UInt64)

  var level: Configuration.LogLevel {
    switch self {
    case .started, .restartRequested, .successorReady, .draining, .stopped, .auditCut, .auditHead, .auditHeadsLeftOut, .keysRotated,
      .rowsRewrapped, .unsealed, .request:
      .info
    case .warning, .keyRefused, .linesLeftOut, .sealed: .warning
    case .auditNotCut, .auditHeadsNotSent, .rowsNotRewrapped, .restartFailed, .storeFailed, .startRefused, .requestFailed, .canaryRead:
      .error
    }
  }

  var message: StaticString {
    switch self {
    case .started: "serving"
    case .warning: "configuration warning"
    case .restartRequested: "starting a successor"
    case .restartFailed: "the successor did not become ready; this process serves on"
    case .successorReady: "the successor serves"
    case .draining: "finishing what was begun"
    case .stopped: "stopped"
    case .auditCut: "old audit entries were cut"
    case .auditNotCut: "old audit entries could not be cut"
    case .auditHead: "audit head"
    case .auditHeadsLeftOut: "more audit heads changed than are logged"
    case .auditHeadsNotSent: "the audit heads could not be sent; they are sent again soon"
    case .keysRotated: "tenant keys were as old as their tenants allow; new versions were made"
    case .rowsRewrapped: "rows went under the newest version of their tenant's key"
    case .rowsNotRewrapped: "rows under older versions of tenant keys could not be re-wrapped"
    case .storeFailed: "the store failed; the process ends and recovers at its next start"
    case .startRefused: "start refused"
    case .request: "request"
    case .requestFailed: "request failed"
    case .keyRefused: "key refused"
    case .canaryRead: "canary secret read"
    case .sealed: "sealed: the root key was dropped; coffer unseal on this host brings it back"
    case .unsealed: "unsealed"
    case .linesLeftOut: "log lines left out"
    }
  }

  var fields: [(JSONString, JSONValue)] {
    switch self {
    case .started(let version, let socket, let threads):
      [("version", .string(JSONString(version))), ("socket", .string(JSONString(socket))), ("threads", .number(JSONNumber(threads)))]
    case .warning(let warning): [("warning", .string(JSONString(warning.message)))]
    case .successorReady(let pid): [("pid", .number(JSONNumber(pid)))]
    case .stopped(let requests): [("requests", .number(JSONNumber(requests)))]
    case .auditCut(let entries): [("entries", .number(JSONNumber(entries)))]
    case .auditHead(let tenant, let sequence, let hash):
      [
        ("tenant", .string(JSONString(tenant))), ("sequence", .number(JSONNumber(sequence))), ("hash", .string(JSONString(hash))),
      ]
    case .auditHeadsLeftOut(let count): [("count", .number(JSONNumber(count)))]
    case .keysRotated(let count): [("count", .number(JSONNumber(count)))]
    case .rowsRewrapped(let rows, let unreadable):
      [("rows", .number(JSONNumber(rows))), ("unreadable", .number(JSONNumber(unreadable)))]
    case .storeFailed(let reason), .startRefused(let reason), .auditNotCut(let reason), .auditHeadsNotSent(let reason),
      .rowsNotRewrapped(let reason):
      [("reason", .string(JSONString(reason)))]
    case .request(let event), .requestFailed(let event), .keyRefused(let event): event.fields
    case .canaryRead(let event): event.fields
    case .sealed(let isRecorded): isRecorded ? [] : [("reason", "the audit chain cannot be written and does not say so")]
    case .linesLeftOut(let count): [("count", .number(JSONNumber(count)))]
    case .restartRequested, .restartFailed, .draining, .unsealed: []
    }
  }
}

extension CanaryEvent {
  fileprivate var fields: [(JSONString, JSONValue)] {
    let texts: [(JSONString, String)] = [
      ("tenant", tenant), ("secret", secret), ("field", fieldKey), ("action", action), ("actor", actor), ("actorId", actorID),
      ("key", keyID), ("address", address), ("requestId", requestID),
    ]
    return texts.filter { !$0.1.isEmpty }.map { ($0.0, .string(JSONString($0.1))) }
  }
}

extension RequestEvent {
  fileprivate var fields: [(JSONString, JSONValue)] {
    var fields: [(JSONString, JSONValue)] = [
      ("requestId", .string(JSONString(requestID))), ("method", .string(JSONString(method))), ("route", .string(JSONString(route))),
      ("status", .number(JSONNumber(status))), ("milliseconds", .number(milliseconds)),
    ]
    if !tenant.isEmpty { fields.append(("tenant", .string(JSONString(tenant)))) }
    if !keyID.isEmpty { fields.append(("key", .string(JSONString(keyID)))) }
    return fields
  }

  /// With three decimals: `0.412`.
  private var milliseconds: JSONNumber {
    let fraction = String(microseconds % 1000)
    return JSONNumber(validated: Array("\(microseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)".utf8))
  }
}
