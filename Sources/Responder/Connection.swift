internal import CShim
internal import Glibc
internal import HTTPMessages
internal import SecretMemory
internal import Threads

/// One connection from nginx. It belongs to its loop; while a request is answered elsewhere it is marked busy, and the
/// loop touches neither its descriptor nor its bytes until the answer is out.
final class Connection: Sendable {
  struct State {
    /// A request is being answered.
    var isBusy = false
    /// Something arrived while busy; the loop must look again.
    var wasSignalled = false
    /// Bytes of an answer that the socket did not take yet.
    var unsent: [UInt8] = []
    var unsentOffset = 0
    /// To be closed once nothing is unsent.
    var closesAfterReply = false
    /// When a request began to arrive that is not whole yet, in monotonic seconds.
    var partialSince: Int64?
    /// A request that another thread has read for the loop.
    var ready: LibFCGI.Parsed?
  }

  let descriptor: Int32
  let origin: ListenerTraits
  let inbox: Inbox
  private let ledger: Ledger
  let state = Locked(State())

  init(descriptor: Int32, from origin: ListenerTraits, inbox: Inbox, ledger: Ledger) {
    self.descriptor = descriptor
    self.origin = origin
    self.inbox = inbox
    self.ledger = ledger
  }

  /// Frames and sends an answer, from any thread, while the connection is busy. What does not fit is left to the loop.
  /// - Returns: whether the loop must look at the connection again.
  func reply(_ response: Response, to call: Call) -> Bool {
    var frame: [UInt8] = []
    frame.reserveCapacity(response.body.count + 512)
    var output = Record.Output(requestID: call.recordID, in: &frame)
    response.appendHead(requestID: call.requestID, to: &frame)
    if !call.isHead {
      switch response.body {
      case .empty: break
      case .bytes(let bytes): unsafe bytes.withUnsafeBytes { unsafe output.append($0, to: &frame) }
      case .secret(let bytes):
        bytes.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe output.append($0, to: &frame) } }
      }
    }
    output.end(in: &frame)
    Record.appendEnd(requestID: call.recordID, to: &frame)
    ledger.note(call, status: response.status.code)
    let sent = transmit(frame, from: 0)
    var mustLook = false
    state.withLock { state in
      state.closesAfterReply = state.closesAfterReply || !call.keepsConnection || sent == nil
      if let sent, sent < frame.count {
        state.unsent = frame
        state.unsentOffset = sent
        mustLook = true
      } else {
        state.isBusy = false
        mustLook = state.wasSignalled || state.closesAfterReply
        state.wasSignalled = false
      }
    }
    if case .secret = response.body { erase(&frame) }
    return mustLook
  }

  /// Sends what is left of an answer. True when nothing is.
  func flush() -> Bool {
    state.withLock { state in
      guard state.unsentOffset < state.unsent.count else { return true }
      guard let sent = transmit(state.unsent, from: state.unsentOffset) else {
        state.closesAfterReply = true
        state.unsentOffset = state.unsent.count
        return finish(&state)
      }
      state.unsentOffset += sent
      return state.unsentOffset == state.unsent.count ? finish(&state) : false
    }
  }

  private func finish(_ state: inout State) -> Bool {
    erase(&state.unsent)
    state.unsent = []
    state.unsentOffset = 0
    state.isBusy = false
    return true
  }

  /// How many bytes the socket took; nil when the peer is gone.
  private func transmit(_ frame: [UInt8], from start: Int) -> Int? {
    var offset = start
    while offset < frame.count {
      let result = unsafe frame.withUnsafeBytes { bytes in
        unsafe shim_send(descriptor, bytes.baseAddress! + offset, UInt(bytes.count - offset))
      }
      if result < 0 {
        if errno == EINTR { continue }
        return errno == EAGAIN || errno == EWOULDBLOCK ? offset - start : nil
      }
      offset += result
    }
    return offset - start
  }
}

/// What is needed of a request to answer it and to count it.
struct Call: Sendable {
  let recordID: UInt16
  let requestID: String
  let method: HTTPMethod
  let keepsConnection: Bool
  /// When its parse began, in monotonic nanoseconds.
  let begun: Int64
  var mark = RequestMark()

  var isHead: Bool { method == .head }
}
