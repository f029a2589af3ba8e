internal import HTTPClient
package import SecretMemory
internal import Threads

/// What the agent server answered, whatever its status.
package struct GatewayReply: Sendable {
  package let status: Int
  /// Without its parameters, in lower case; empty when there is none.
  package let mediaType: String
  package let body: SecretBytes
}

/// Sends requests to the agent server from threads of its own: a loop thread never waits for another machine.
package final class Gateway: Sendable {
  private static let threads = 8
  private static let queue = 64
  /// Bytes of the longest answer that is taken.
  private static let maximumAnswer = 4 << 20

  package let server: AgentServer
  private let pool = WaitingPool(threads: threads, capacity: queue, name: "coffer-gateway")

  package init(_ server: AgentServer) { self.server = server }

  /// Sends one request; `completion` comes on a thread of the pool, or at once when there is no room.
  package func send(
    _ method: StaticString, _ target: String, body: SecretBytes?, requestID: String,
    completion: @escaping @Sendable (Result<GatewayReply, GatewayFailure>) -> Void
  ) {
    let isTaken = pool.run { [server] waited in
      // Half of the time must be left: what would be cut off for certain is not begun.
      let left = Int64(server.deadline) * 1000 - waited
      guard left * 2 >= Int64(server.deadline) * 1000 else { return completion(.failure(.busy)) }
      completion(Self.exchange(method, target, body, requestID, server, seconds: max(1, Int(left / 1000))))
    }
    if !isTaken { completion(.failure(.busy)) }
  }

  private static func exchange(
    _ method: StaticString, _ target: String, _ body: SecretBytes?, _ requestID: String, _ server: AgentServer, seconds: Int
  ) -> Result<GatewayReply, GatewayFailure> {
    var options = HTTPClient.Options(deadline: seconds, connectDeadline: min(seconds, 5), maximumBody: maximumAnswer)
    options.unixSocket = server.unixSocket
    var request = HTTPRequest(
      method, server.url(target), fields: [("X-Request-Id", requestID), ("Accept", "application/json")], body: body)
    if body != nil { request.fields.append(("Content-Type", "application/json")) }
    if let key = server.key { request.secretFields = [("X-Session-API-Key", key)] }
    do throws(HTTPFailure) {
      let reply = try HTTPClient(options).send(request)
      let type = reply.field("content-type").map { String($0.prefix { $0 != ";" && $0 != " " }).lowercased() } ?? ""
      return .success(GatewayReply(status: reply.status, mediaType: type, body: reply.body))
    } catch { return .failure(GatewayFailure(error)) }
  }
}

extension GatewayFailure {
  fileprivate init(_ failure: HTTPFailure) {
    switch failure {
    case .unreachable, .notTrusted: self = .unreachable
    case .timedOut: self = .timedOut
    case .cutOff: self = .garbled
    case .tooLarge: self = .tooLarge
    case .invalidRequest, .unusable: self = .notSent
    }
  }
}
