internal import CShim
internal import Glibc
internal import HTTPMessages

/// One client, the agent server's end of it, and what is on its way between them.
final class RelayedSocket {
  enum Phase {
    /// The client's handshake arrives.
    case handshake
    /// The socket is open; the first frame is to bring the key.
    case key(Handshake)
    /// The agent server's address is being asked for, or its socket connects.
    case dialling
    /// Our handshake is on its way, or its answer.
    case answer
    case open
    /// What is left goes to the client, then it is over.
    case ending
  }

  let client: Int32
  /// -1 while there is none.
  var upstream: Int32 = -1
  var phase = Phase.handshake
  var toClient = ByteQueue()
  var toUpstream = ByteQueue()
  /// What came from the client before it may pass, and from the agent server before its socket is open.
  var early: [UInt8] = []
  var answer: [UInt8] = []
  /// Monotonic milliseconds; nil = none.
  var deadline: Int64?
  var pass: SocketPass?
  /// Whether the client's socket is open: refusals are frames then.
  var isAccepted = false
  /// Sent to the agent server, whose answer must fit it.
  var nonce: [UInt8] = []
  var offers: [(name: StaticString, value: [UInt8])] = []
  var requestID = ""
  /// Monotonic microseconds.
  let begun: Int64
  var isReported = false
  /// The agent server's frames.
  var tracker = FrameTracker()
  /// Sent once the agent server's present frame is whole; then it is over.
  var farewell: [UInt8]?
  var clientHasEnded = false
  var addresses: ArraySlice<AgentAddress.Resolved> = []
  /// What the epoll set was told; nil = it does not have the descriptor.
  var clientInterest: UInt32?
  var upstreamInterest: UInt32?

  init(client: Int32, begun: Int64, deadline: Int64) {
    self.client = client
    self.begun = begun
    self.deadline = deadline
  }

  /// What is to be told of the client's socket now.
  var clientEvents: UInt32 {
    var events: UInt32 = toClient.isEmpty ? 0 : EPOLLOUT.rawValue
    switch phase {
    case .handshake, .key, .ending: if !clientHasEnded { events |= EPOLLIN.rawValue }
    case .dialling, .answer, .open: if !clientHasEnded, toUpstream.room > 0 { events |= EPOLLIN.rawValue }
    }
    return events
  }

  var upstreamEvents: UInt32 {
    switch phase {
    case .handshake, .key, .ending: return 0
    case .dialling: return EPOLLOUT.rawValue
    case .answer, .open:
      var events: UInt32 = toUpstream.isEmpty ? 0 : EPOLLOUT.rawValue
      if toClient.room > 0, farewell == nil || !tracker.isBetweenFrames { events |= EPOLLIN.rawValue }
      return events
    }
  }
}
