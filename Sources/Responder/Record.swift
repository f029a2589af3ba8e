/// FastCGI records (FastCGI specification 1.0, section 3.3): what is needed to see whether a request is whole, and to
/// frame an answer. The parameters and the body are libfcgi's to parse.
enum Record {
  static let headerBytes = 8
  /// The longest content that keeps records a multiple of eight.
  static let maximumContent = 65_528

  enum Kind: UInt8 {
    case beginRequest = 1
    case abortRequest = 2
    case endRequest = 3
    case parameters = 4
    case standardInput = 5
    case standardOutput = 6
  }

  /// What the bytes that have arrived so far amount to.
  enum Arrival: Equatable {
    /// BEGIN_REQUEST to the empty STDIN record, all there.
    case whole(keepsConnection: Bool)
    case partial(keepsConnection: Bool)
    /// Not a request of a responder; the connection is of no use.
    case unacceptable
  }

  private static let responderRole: UInt16 = 1
  private static let keepConnectionFlag: UInt8 = 1

  /// Looks at bytes that stay in the socket. Everything but one well-formed responder request is refused here, so that
  /// libfcgi sees neither management records nor lengths that run on.
  static func arrival(_ bytes: UnsafeRawBufferPointer) -> Arrival {
    var offset = 0
    var requestID: UInt16?
    var keepsConnection = false
    while bytes.count - offset >= headerBytes {
      let header = unsafe bytes[offset..<(offset + headerBytes)]
      let version = unsafe header[offset]
      let id = unsafe UInt16(header[offset + 2]) << 8 | UInt16(header[offset + 3])
      let content = unsafe Int(header[offset + 4]) << 8 | Int(header[offset + 5])
      let padding = unsafe Int(header[offset + 6])
      guard version == 1, id != 0, requestID == nil || requestID == id, let kind = unsafe Kind(rawValue: header[offset + 1]) else {
        return .unacceptable
      }
      let next = offset + headerBytes + content + padding
      switch kind {
      case .beginRequest:
        guard requestID == nil, content == 8 else { return .unacceptable }
        guard bytes.count >= next else { return .partial(keepsConnection: keepsConnection) }
        let role = unsafe UInt16(bytes[offset + 8]) << 8 | UInt16(bytes[offset + 9])
        guard role == responderRole else { return .unacceptable }
        keepsConnection = unsafe bytes[offset + 10] & keepConnectionFlag != 0
        requestID = id
      case .parameters, .standardInput:
        guard requestID != nil else { return .unacceptable }
        if kind == .standardInput, content == 0, bytes.count >= next { return .whole(keepsConnection: keepsConnection) }
      case .abortRequest, .endRequest, .standardOutput: return .unacceptable
      }
      offset = next
      if offset >= bytes.count { return .partial(keepsConnection: keepsConnection) }
    }
    return .partial(keepsConnection: keepsConnection)
  }

  /// STDOUT records under way at the end of a frame, without the empty record that ends the stream. Head and body share
  /// a record as long as they fit into one.
  struct Output {
    private let requestID: UInt16
    /// Where the record's header is.
    private var start: Int

    init(requestID: UInt16, in frame: inout [UInt8]) {
      self.requestID = requestID
      start = frame.count
      appendHeader(.standardOutput, requestID: requestID, content: 0, padding: 0, to: &frame)
    }

    mutating func append(_ content: UnsafeRawBufferPointer, to frame: inout [UInt8]) {
      var offset = 0
      while offset < content.count {
        let room = maximumContent - (frame.count - start - headerBytes)
        if room <= 0 {
          end(in: &frame)
          start = frame.count
          appendHeader(.standardOutput, requestID: requestID, content: 0, padding: 0, to: &frame)
          continue
        }
        let count = min(room, content.count - offset)
        unsafe frame.append(contentsOf: content[offset..<(offset + count)])
        offset += count
      }
    }

    /// Writes the length and the padding of the last record.
    func end(in frame: inout [UInt8]) {
      let content = frame.count - start - headerBytes
      let padding = (8 - content % 8) % 8
      frame[start + 4] = UInt8(truncatingIfNeeded: content >> 8)
      frame[start + 5] = UInt8(truncatingIfNeeded: content)
      frame[start + 6] = UInt8(truncatingIfNeeded: padding)
      frame.append(contentsOf: repeatElement(0, count: padding))
    }
  }

  /// Ends the output stream and the request, status 0, REQUEST_COMPLETE.
  static func appendEnd(requestID: UInt16, to frame: inout [UInt8]) {
    appendHeader(.standardOutput, requestID: requestID, content: 0, padding: 0, to: &frame)
    appendHeader(.endRequest, requestID: requestID, content: 8, padding: 0, to: &frame)
    frame.append(contentsOf: repeatElement(0, count: 8))
  }

  private static func appendHeader(_ kind: Kind, requestID: UInt16, content: Int, padding: Int, to frame: inout [UInt8]) {
    frame.append(contentsOf: [
      1, kind.rawValue, UInt8(truncatingIfNeeded: requestID >> 8), UInt8(truncatingIfNeeded: requestID),
      UInt8(truncatingIfNeeded: content >> 8), UInt8(truncatingIfNeeded: content), UInt8(truncatingIfNeeded: padding), 0,
    ])
  }
}
