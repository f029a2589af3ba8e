/// What an agent server says when it is asked for something that takes its key.
package enum AgentServerAnswer: Sendable, Equatable {
  /// - Parameter version: as it tells it; nil when it tells none.
  case status(Int, version: String?)
  case unreachable
  case silent(seconds: Int)
  /// It speaks no HTTP.
  case garbled

  /// - Parameters:
  ///   - address: as it is configured.
  ///   - hasKey: whether a key was sent along.
  package func judged(_ address: String, hasKey: Bool) -> Finding {
    switch self {
    case .status(200, let version):
      Finding(.agentServer, .good, "the agent server \(address) answers\(version.map { " and is version \($0)" } ?? "")")
    case .status(401, _) where hasKey:
      Finding(.agentServer, .wrong, "the agent server \(address) does not take its key; put its session key into agent-server-key-file")
    case .status(401, _):
      Finding(.agentServer, .wrong, "the agent server \(address) wants a key; name a file with its session key in agent-server-key-file")
    case .status(let status, _):
      Finding(
        .agentServer, .warning,
        "the agent server \(address) answers \(status) to GET /api/conversations/count; is it an OpenHands agent server?")
    case .unreachable:
      Finding(
        .agentServer, .wrong,
        "the agent server \(address) cannot be reached; start it, or correct agent-server. Settings and secrets do not need it")
    case .silent(let seconds):
      Finding(.agentServer, .wrong, "the agent server \(address) took the connection and did not answer within \(seconds) seconds")
    case .garbled:
      Finding(.agentServer, .wrong, "what listens at \(address) speaks no HTTP; correct agent-server")
    }
  }
}
