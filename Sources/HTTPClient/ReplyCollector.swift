internal import CCurl
internal import Glibc
internal import SecretMemory

/// Where libcurl puts an answer, on the thread of the exchange.
final class ReplyCollector {
  private static let maximumFields = 64 << 10

  private(set) var body: [UInt8] = []
  private(set) var fields: [(name: String, value: String)] = []
  private(set) var isTooLarge = false
  private var fieldBytes = 0
  private let maximumBody: Int

  init(maximumBody: Int) { self.maximumBody = maximumBody }

  func erase() { SecretMemory.erase(&body) }

  /// CURLOPT_WRITEFUNCTION: fewer bytes taken than given ends the exchange.
  static let takeBody: curl_write_callback = { start, size, count, context in
    unsafe collector(context)?.append(UnsafeRawBufferPointer(start: start, count: size * count)) ?? 0
  }

  /// CURLOPT_HEADERFUNCTION: one whole line a call.
  static let takeField: curl_write_callback = { start, size, count, context in
    unsafe collector(context)?.take(line: UnsafeRawBufferPointer(start: start, count: size * count)) ?? 0
  }

  private static func collector(_ context: UnsafeMutableRawPointer?) -> ReplyCollector? {
    unsafe context.map { unsafe Unmanaged<ReplyCollector>.fromOpaque($0).takeUnretainedValue() }
  }

  private func append(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard body.count + bytes.count <= maximumBody else {
      isTooLarge = true
      return 0
    }
    grow(by: bytes.count)
    unsafe body.append(contentsOf: bytes)
    return bytes.count
  }

  /// Grows by hand, so that what the old buffer held is erased before it goes.
  private func grow(by count: Int) {
    guard body.capacity < body.count + count else { return }
    var larger: [UInt8] = []
    larger.reserveCapacity(max(min(4 * body.capacity, maximumBody), body.count + count, 4096))
    larger += body
    SecretMemory.erase(&body)
    body = larger
  }

  private func take(line: UnsafeRawBufferPointer) -> Int {
    fieldBytes += line.count
    guard fieldBytes <= Self.maximumFields else {
      isTooLarge = true
      return 0
    }
    // A status line begins a new head: of several only the last counts.
    if unsafe line.starts(with: "HTTP/".utf8) { fields = [] }
    if let colon = unsafe line.firstIndex(of: UInt8(ascii: ":")) {
      let name = unsafe String(decoding: line[..<colon], as: UTF8.self).lowercased()
      let value = unsafe line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
      let end = unsafe value.lastIndex { $0 > 0x20 }.map { $0 + 1 } ?? value.startIndex
      unsafe fields.append((name, String(decoding: value[..<end], as: UTF8.self)))
    }
    return line.count
  }
}

/// The request's header fields as libcurl takes them. Ends with `erase`.
@safe struct FieldList {
  private(set) var first: UnsafeMutablePointer<curl_slist>?

  init(_ request: HTTPRequest) throws(HTTPFailure) {
    for (name, value) in request.fields { try append(name, Array(value.utf8)) }
    for (name, value) in request.secretFields {
      var bytes = value.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
      defer { SecretMemory.erase(&bytes) }
      try append(name, bytes)
    }
    // libcurl would wait for "100 Continue" before a longer body.
    try append("Expect", [])
  }

  /// A name with nothing behind the colon keeps libcurl from adding that field.
  private mutating func append(_ name: String, _ value: [UInt8]) throws(HTTPFailure) {
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }),
      value.allSatisfy({ (0x20...0x7E).contains($0) })
    else {
      erase()
      throw .invalidRequest
    }
    var line = Array(name.utf8) + Array(value.isEmpty ? ":".utf8 : ": ".utf8) + value + [0]
    defer { SecretMemory.erase(&line) }
    let longer = unsafe line.withUnsafeBytes { line in
      unsafe coffer_curl_append(first, line.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
    guard let longer = unsafe longer else {
      erase()
      throw .unusable
    }
    unsafe first = longer
  }

  /// Overwrites every line, then frees the list.
  mutating func erase() {
    var entry = unsafe first
    while let current = unsafe entry {
      if let text = unsafe current.pointee.data {
        unsafe SecretMemory.erase(UnsafeMutableRawBufferPointer(start: text, count: strlen(text)))
      }
      unsafe entry = current.pointee.next
    }
    unsafe coffer_curl_free(first)
    unsafe first = nil
  }
}
