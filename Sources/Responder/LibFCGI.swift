internal import CFastCGI
internal import Glibc
internal import HTTPMessages
internal import SecretMemory
internal import Threads

/// libfcgi's parser on one thread: from a connection with a whole request to a request as a value.
@safe final class LibFCGI {
  /// libfcgi keeps pointers into it: it never moves.
  private let request: UnsafeMutablePointer<FCGX_Request>
  /// Where bodies arrive; erased after each.
  private let chunk: UnsafeMutableBufferPointer<CChar>

  init() {
    unsafe chunk = .allocate(capacity: 16 << 10)
    unsafe request = .allocate(capacity: 1)
    unsafe request.initialize(to: FCGX_Request())
    unsafe FCGX_InitRequest(request, -1, 0)
  }

  deinit {
    unsafe FCGX_Free(request, 0)
    unsafe request.deallocate()
    unsafe chunk.deallocate()
  }

  enum Parsed {
    case request(Request, Call)
    /// A request that cannot be one, with what is needed to say so.
    case refused(RequestRefusal, Call)
    /// libfcgi gave up and has closed the descriptor.
    case closed
  }

  /// Must be called once before any thread parses.
  static func initialise() -> Bool {
    // Its close would otherwise wait up to two seconds for the peer.
    unsafe setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1)
    return FCGX_Init() == 0
  }

  /// - Parameter origin: the listener that the connection came from.
  func parse(_ descriptor: Int32, from origin: ListenerTraits, keepsConnection: Bool, freshID: () -> String) -> Parsed {
    let begun = Monotonic.nanoseconds()
    unsafe request.pointee.ipcFd = descriptor
    // FCGX_Accept_r finishes "the last request" first and would close the descriptor it was just given.
    unsafe request.pointee.keepConnection = 1
    unsafe request.pointee.detached = 1
    guard unsafe FCGX_Accept_r(request) == 0 else { return .closed }
    defer { unsafe FCGX_Free(request, 0) }
    let recordID = UInt16(truncatingIfNeeded: unsafe request.pointee.requestId)
    var decoder = RequestDecoder(maximumBody: origin.maximumBody)
    var refusal: RequestRefusal?
    if var entry = unsafe request.pointee.envp {
      while let text = unsafe entry.pointee {
        if refusal == nil {
          do throws(RequestRefusal) {
            try unsafe decoder.add(UnsafeRawBufferPointer(start: text, count: strlen(text)))
          } catch { refusal = error }
        }
        unsafe entry += 1
      }
    }
    func call(_ id: String, _ method: HTTPMethod) -> Call {
      Call(recordID: recordID, requestID: id, method: method, keepsConnection: keepsConnection, begun: begun)
    }
    if let refusal { return .refused(refusal, call(freshID(), .other)) }
    do throws(RequestRefusal) {
      let request = try decoder.request(body: body(upTo: origin.maximumBody), peer: origin.isLocalOperator, freshID: freshID)
      return .request(request, call(request.id, request.method))
    } catch { return .refused(error, call(freshID(), .other)) }
  }

  /// The whole body, one byte more than the limit at most.
  private func body(upTo limit: Int) -> SecretBytes {
    var bytes: [UInt8] = []
    defer { erase(&bytes) }
    while bytes.count <= limit {
      let count = unsafe FCGX_GetStr(chunk.baseAddress, Int32(chunk.count), request.pointee.in)
      if count <= 0 { break }
      let arrived = unsafe UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: chunk[..<Int(count)]))
      unsafe bytes.append(contentsOf: arrived)
      unsafe erase(arrived)
    }
    return bytes.isEmpty ? SecretBytes() : SecretBytes(copying: bytes)
  }
}
