internal import Gateway
internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service

/// The agent server's own part of the API. This server judges the key and tells nginx where to send the request and with which
/// key; neither the request nor its answer passes through here again (docs/decisions/0020).
extension SettingsAPI {
  /// nil for a path that neither server has.
  func unserved(_ request: Request) -> Answer? {
    guard Route.isUnserved(request.target) else { return nil }
    do throws(ServiceError) {
      let principal = try desk.authenticate(request[.sessionKey])
      info.noteRequest(at: desk.service.now())
      return guarded(principal, request) { () throws(ServiceError) in try self.relayed(request, principal) }
    } catch { return .now(Failure.response(error)) }
  }

  private func relayed(_ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    guard let conversations else { return .now(Self.noAgentServer) }
    guard Route.isRelayed(request.target) else {
      return .now(Failure.server(501, "This part of the agent server's API hands out the agent server's own key and is not relayed"))
    }
    try principal.demand(.converse)
    guard request.isRelayable else {
      return .now(Failure.server(501, "nginx does not relay to the agent server; use the nginx files of this release"))
    }
    let conversation = Route.isConversation(request.target) ? request.target.conversation : nil
    // Whoever steers a conversation keeps its tokens alive.
    if let conversation { try desk.renewGrants(of: conversation, for: principal, requestID: request.id) }
    let server = try conversations.server(for: request.target, of: conversation, desk, principal).gateway.server
    var headers: [(name: StaticString, value: String)] = [
      ("X-Accel-Redirect", "@coffer_agent_server"), ("X-Coffer-Agent-Server", server.proxyAddress(Self.address(request.target))),
    ]
    if let key = server.key {
      headers.append(
        ("X-Coffer-Agent-Key", key.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }))
    }
    return .now(Response(status: .ok, headers: headers))
  }

  /// The path as it came, without the prefix that a front end mounts this server under.
  private static func address(_ target: RequestTarget) -> String {
    let parts = target.rawPath.split(separator: "/", omittingEmptySubsequences: false)
    let path = parts.suffix(target.segments.count + (target.hasTrailingSlash ? 1 : 0)).joined(separator: "/")
    let query = AgentServerQuery.removed(from: target.rawQuery)
    return "/" + path + (query.isEmpty ? "" : "?" + query)
  }
}

extension RequestTarget {
  /// The id where conversations have theirs: `/api/conversations/ID`, `/sockets/events/ID`.
  var conversation: String? { segments.count >= 3 ? UUIDText.canonical(segments[2]) : nil }
}

extension Desk {
  /// Renews a conversation's tokens when it is time to.
  func renewGrants(of conversation: String, for principal: Principal, requestID: String) throws(ServiceError) {
    if try needsRenewal(conversation, for: principal) { service.renewGrants(of: conversation, by: principal, requestID: requestID) }
  }
}
