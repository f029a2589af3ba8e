/// Puts an answer together from records that arrive in pieces.
struct ReplyCollector {
  private let limit: Int
  private var pending: [UInt8] = []
  private var output: [UInt8] = []
  private var errors: [UInt8] = []
  private var hasEnded = false

  init(limit: Int) { self.limit = limit }

  mutating func add(_ bytes: some Collection<UInt8>) throws(FastCGIClient.Failure) {
    pending += bytes
    var start = 0
    while !hasEnded, pending.count - start >= Record.headerBytes {
      let header = pending[start..<(start + Record.headerBytes)]
      let content = Int(header[start + 4]) << 8 | Int(header[start + 5])
      let whole = Record.headerBytes + content + Int(header[start + 6])
      guard header[start] == 1, header[start + 2] == 0, header[start + 3] == 1 else { throw .malformed }
      guard pending.count - start >= whole else { break }
      let body = (start + Record.headerBytes)..<(start + Record.headerBytes + content)
      switch Record.Kind(rawValue: header[start + 1]) {
      case .output: output += pending[body]
      case .errors: errors += pending[body]
      case .endRequest: hasEnded = true
      case .beginRequest, .parameters, .input, nil: throw .malformed
      }
      guard output.count + errors.count <= limit else { throw .tooLarge }
      start += whole
    }
    pending.removeFirst(start)
  }

  /// The answer once it has ended; nil before.
  func reply() throws(FastCGIClient.Failure) -> FastCGIReply? {
    guard hasEnded else { return nil }
    var headers: [(name: String, value: String)] = []
    var index = output.startIndex
    while let end = output[index...].firstIndex(of: 0x0A) {
      let line = output[index..<end].last == 0x0D ? output[index..<(end - 1)] : output[index..<end]
      index = end + 1
      if line.isEmpty { return try reply(headers, body: Array(output[index...])) }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed }
      let value = line[(colon + 1)...].drop { $0 == 0x20 }
      headers.append((String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self)))
    }
    throw .malformed
  }

  /// Without a Status field the status is 200 (RFC 3875, section 6.3.3).
  private func reply(_ headers: [(name: String, value: String)], body: [UInt8]) throws(FastCGIClient.Failure) -> FastCGIReply {
    guard let text = headers.first(where: { $0.name.lowercased() == "status" })?.value else {
      return FastCGIReply(status: 200, headers: headers, body: body, errors: errors)
    }
    guard let status = Int(text.prefix(3)), (100...599).contains(status) else { throw .malformed }
    return FastCGIReply(status: status, headers: headers, body: body, errors: errors)
  }
}
