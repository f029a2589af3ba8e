internal import Gateway
package import HTTPMessages
internal import Model
package import Service

/// Who may open a WebSocket to the agent server (settings spec, section 10.10): on one thread, by the key of the handshake's head or query,
/// or of the first frame.
package final class SocketAPI {
  package enum Judgement {
    /// `address`: the agent server's path and query, without a key; `server`: which one it is, from 0.
    case admitted(tenant: String, keyID: String, address: String, server: Int)
    /// None was given: it may come in the first frame.
    case keyWanted
    case refused(Status, String)
  }

  private let desk: Desk
  private let conversations: ConversationGateway?

  package init(desk: Desk, conversations: ConversationGateway?) {
    self.desk = desk
    self.conversations = conversations
  }

  /// - Parameters:
  ///   - header: the value of X-Session-API-Key.
  ///   - frame: the key of the first frame, in the place of all others.
  package func judge(_ target: RequestTarget, header: [UInt8]?, frame: [UInt8]?, requestID: String) -> Judgement {
    guard target.segments.first == Array("sockets".utf8), target.segments.allSatisfy(\.isPlainSegment) else {
      return .refused(Status(404), "Not Found")
    }
    guard let conversations else { return .refused(Status(501), "No agent server is configured (agent-server)") }
    let key = frame ?? header ?? Self.queryKey(target.rawQuery)
    desk.requestBegins()
    defer {
      desk.turnEnds()
      // Handshakes are rare, and nobody asks this thread to forget keys when there are none.
      Service.dropThreadKeys()
    }
    do throws(ServiceError) {
      let principal = try desk.authenticate(key)
      guard principal.level.allows(.converse) else {
        let event = AuditEvent("access.denied", subject: Action.converse.rawValue, outcome: .denied)
        desk.service.record(event, by: principal, requestID: requestID) { _ in }
        return .refused(Status(403), "Forbidden")
      }
      let conversation = target.conversation
      // Whoever listens to a conversation keeps its tokens alive.
      if let conversation { try desk.renewGrants(of: conversation, for: principal, requestID: requestID) }
      let server = try conversations.server(for: target, of: conversation, desk, principal)
      return .admitted(
        tenant: principal.tenant, keyID: principal.keyID, address: Self.address(target), server: conversations.servers.index(of: server))
    } catch {
      if case .absent(.agentServer, _) = error { return .refused(Status(404), "No agent server of that name is configured") }
      if case .unauthenticated = error { return key == nil ? .keyWanted : .refused(Status(403), "Forbidden") }
      return .refused(Failure.response(error).status, "The key cannot be checked now")
    }
  }

  /// Whether a key of ours is still good. Keys of the environment are good for as long as the process runs.
  package func isGood(keyID: String) -> Bool {
    if desk.service.isSealed { return false }
    if keyID.isEmpty { return true }
    do throws(ServiceError) {
      guard let row = try desk.apiKey(keyID) else { return false }
      return try desk.isGood(row)
    } catch {
      // What cannot be read now is judged at the next look.
      return true
    }
  }

  private static let keyName = "session_api_key="

  /// A browser cannot put a header into the handshake of a WebSocket: there, and only there, the key may stand in the query.
  private static func queryKey(_ query: String) -> [UInt8]? {
    let found = query.split(separator: "&").first { $0.hasPrefix(keyName) }
    return found.flatMap { decoded(Array($0.utf8.dropFirst(keyName.utf8.count))) }
  }

  private static func address(_ target: RequestTarget) -> String {
    let query = AgentServerQuery.removed(from: target.rawQuery).split(separator: "&").filter { !$0.hasPrefix(keyName) }.joined(
      separator: "&")
    return target.rawPath + (query.isEmpty ? "" : "?" + query)
  }

  /// Percent escapes and `+` undone; nil where an escape is not whole.
  private static func decoded(_ text: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var index = 0
    while index < text.count {
      switch text[index] {
      case UInt8(ascii: "+"): result.append(0x20)
      case UInt8(ascii: "%"):
        guard index + 2 < text.count, let byte = UInt8(String(decoding: text[(index + 1)...(index + 2)], as: UTF8.self), radix: 16) else {
          return nil
        }
        result.append(byte)
        index += 2
      case let byte: result.append(byte)
      }
      index += 1
    }
    return result
  }
}
