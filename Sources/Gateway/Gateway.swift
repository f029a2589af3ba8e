internal import HTTPClient
package import SecretMemory
internal import Synchronization
internal import Threads

/// What the agent server answered, whatever its status.
package struct GatewayReply: Sendable {
  package let status: Int
  /// Without its parameters, in lower case; empty when there is none.
  package let mediaType: String
  package let body: SecretBytes
}

/// What a look at an agent server found.
package enum AgentServerHealth: String, Sendable {
  case ok
  /// It does not take its key.
  case refused
  case unreachable
  /// It took the connection and did not answer in time.
  case silent
  /// What answers is no agent server.
  case garbled
  /// Too many requests wait for it.
  case busy
}

/// Sends requests to the agent server from threads of its own: a loop thread never waits for another machine.
package final class Gateway: Sendable {
  private static let threads = 8
  private static let queue = 64
  /// Bytes of the longest answer that is taken.
  private static let maximumAnswer = 4 << 20

  package let server: AgentServer
  private let pool = WaitingPool(threads: threads, capacity: queue, name: "coffer-gateway")

  /// Of their own: a server that hangs has the others waiting.
  private let looks = WaitingPool(threads: 2, capacity: 8, name: "coffer-looks")
  /// Monotonic milliseconds of the last time that it could not be reached, 0 once it was again.
  private let unreachableAt = Atomic<Int64>(0)
  private static let doubt: Int64 = 30_000

  package init(_ server: AgentServer) { self.server = server }

  /// It could not be reached half a minute ago or less, and not since.
  package var isDoubtful: Bool {
    let time = unreachableAt.load(ordering: .relaxed)
    return time != 0 && Monotonic.milliseconds() - time < Self.doubt
  }

  private func note<T>(_ result: Result<T, GatewayFailure>) {
    switch result {
    case .failure(.unreachable): unreachableAt.store(max(1, Monotonic.milliseconds()), ordering: .relaxed)
    case .success: unreachableAt.store(0, ordering: .relaxed)
    case .failure: return
    }
  }

  /// Sends one request; `completion` comes on a thread of the pool, or at once when there is no room.
  package func send(
    _ method: StaticString, _ target: String, body: SecretBytes?, requestID: String,
    completion: @escaping @Sendable (Result<GatewayReply, GatewayFailure>) -> Void
  ) {
    let isTaken = pool.run { [self] waited in
      // Half of the time must be left: what would be cut off for certain is not begun.
      let left = Int64(server.deadline) * 1000 - waited
      guard left * 2 >= Int64(server.deadline) * 1000 else { return completion(.failure(.busy)) }
      let result = Self.exchange(method, target, body, requestID, server, seconds: max(1, Int(left / 1000)))
      note(result)
      completion(result)
    }
    if !isTaken { completion(.failure(.busy)) }
  }

  /// Whether it answers and takes its key: what a look at it gives within so many seconds.
  package func look(seconds: Int, completion: @escaping @Sendable (AgentServerHealth) -> Void) {
    let isTaken = looks.run { [self] _ in
      let result = Self.exchange("GET", "/api/conversations/count", nil, "", server, seconds: seconds)
      note(result)
      switch result {
      case .success(let reply) where reply.status == 200: completion(.ok)
      case .success(let reply) where reply.status == 401 || reply.status == 403: completion(.refused)
      case .success, .failure(.garbled), .failure(.tooLarge), .failure(.notSent): completion(.garbled)
      case .failure(.timedOut): completion(.silent)
      case .failure(.unreachable): completion(.unreachable)
      case .failure(.busy): completion(.busy)
      }
    }
    if !isTaken { completion(.busy) }
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
