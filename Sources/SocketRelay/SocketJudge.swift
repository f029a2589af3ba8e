package import HTTPMessages

/// Who a socket belongs to, and where it leads.
package struct SocketPass: Sendable {
  package let tenant: String
  /// Empty when no key of Coffer was used.
  package let keyID: String
  /// The agent server's path and query: no key in them.
  package let address: String
  /// Which of the agent servers, from 0.
  package let agentServer: Int

  package init(tenant: String, keyID: String, address: String, agentServer: Int) {
    self.agentServer = agentServer
    self.tenant = tenant
    self.keyID = keyID
    self.address = address
  }
}

package enum SocketJudgement: Sendable {
  case admitted(SocketPass)
  /// None was given, and one may come in the first frame.
  case keyWanted
  /// A status of HTTP and what it is for; never anything that the client sent.
  case refused(Int, String)
}

/// Judges handshakes, on the relay's thread alone.
package protocol SocketJudge: AnyObject {
  /// - Parameters:
  ///   - header: the value of X-Session-API-Key; nil when there is none.
  ///   - frame: the key of the first frame, which counts in the place of all others.
  func judge(_ target: RequestTarget, header: [UInt8]?, frame: [UInt8]?, requestID: String) -> SocketJudgement

  /// Whether what was let in may stay.
  func stillAdmits(_ pass: SocketPass) -> Bool
}

/// What became of a handshake, for the log and the figures.
package struct SocketReply: Sendable {
  package let requestID: String
  /// Of HTTP; a socket that was open already and found no entry counts as 401.
  package let status: Int
  package let microseconds: UInt64
  /// Empty when no key was accepted.
  package let tenant: String
  package let keyID: String
}
