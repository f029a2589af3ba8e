package import SecretMemory

/// The agent server behind this one, and how it is spoken to.
package struct AgentServer: Sendable {
  /// `http://host:port`, or nil for a unix socket.
  package let origin: String?
  package let unixSocket: String?
  /// Its own session key; no client ever sees it.
  package let key: SecretBytes?
  /// Seconds for one exchange, the wait for a free thread included.
  package let deadline: Int

  package init(origin: String, key: SecretBytes?, deadline: Int) {
    self.origin = origin
    unixSocket = nil
    self.key = key
    self.deadline = deadline
  }

  package init(unixSocket: String, key: SecretBytes?, deadline: Int) {
    origin = nil
    self.unixSocket = unixSocket
    self.key = key
    self.deadline = deadline
  }

  /// The address of `target` for libcurl: for a unix socket the host only fills its field.
  func url(_ target: String) -> String { (origin ?? "http://localhost") + target }

  /// The address of `target` as nginx's proxy_pass takes it.
  package func proxyAddress(_ target: String) -> String {
    unixSocket.map { "http://unix:\($0):\(target)" } ?? url(target)
  }
}

/// Why the agent server gave no answer that can be passed on.
package enum GatewayFailure: Error, Sendable, Equatable {
  /// Too many requests wait for it already.
  case busy
  case unreachable
  case timedOut
  /// The connection ended in the middle, or what came is no HTTP.
  case garbled
  case tooLarge
  /// The request cannot be sent as it is, or libcurl does not work.
  case notSent
}
