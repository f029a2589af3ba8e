internal import CCurl
internal import SecretMemory

/// A client for one request at a time, on the calling thread, through libcurl.
///
/// Redirects are not followed: a credential goes to the address it was meant for and nowhere else. Certificates are always
/// checked. What a request and an answer were copied into is erased.
package struct HTTPClient: Sendable {
  package struct Options: Sendable {
    /// Seconds for the whole exchange.
    package var deadline: Int
    /// Seconds until the connection stands.
    package var connectDeadline: Int
    /// Bytes of the longest answer that is taken.
    package var maximumBody: Int
    /// A file of certificates to trust instead of the system's.
    package var trustedCertificates: String?
    /// A unix socket to connect to, whatever host the URL names.
    package var unixSocket: String?
    /// Whether `https_proxy` and its like in the environment count.
    package var usesProxy: Bool

    package init(
      deadline: Int = 30, connectDeadline: Int = 10, maximumBody: Int = 4 << 20, trustedCertificates: String? = nil,
      unixSocket: String? = nil, usesProxy: Bool = false
    ) {
      self.deadline = deadline
      self.connectDeadline = connectDeadline
      self.maximumBody = maximumBody
      self.trustedCertificates = trustedCertificates
      self.unixSocket = unixSocket
      self.usesProxy = usesProxy
    }
  }

  /// Bytes taken from the connection at once: with libcurl's own 16 KiB a long answer costs twice the processor time.
  private static let readSize = 64 << 10

  private let options: Options

  package init(_ options: Options = Options()) { self.options = options }

  package func send(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPReply {
    // libcurl says the same of a scheme it does not have and of an answer that is no HTTP.
    guard request.url.hasPrefix("https://") || request.url.hasPrefix("http://") else { throw .invalidRequest }
    guard coffer_curl_load(), let handle = unsafe coffer_curl_init() else { throw .unusable }
    defer { unsafe coffer_curl_cleanup(handle) }
    let collector = ReplyCollector(maximumBody: options.maximumBody)
    var fields = try FieldList(request)
    defer { fields.erase() }
    let isReady = unsafe apply(to: handle) && apply(request, fields, to: handle) && receive(into: collector, on: handle)
    guard isReady else { throw .invalidRequest }
    let code = withExtendedLifetime(collector) { unsafe perform(handle, body: request.body) }
    defer { collector.erase() }
    if collector.isTooLarge { throw .tooLarge }
    guard code == CURLE_OK else { throw HTTPFailure(code) }
    var status = 0
    unsafe coffer_curl_status(handle, &status)
    return HTTPReply(status: status, fields: collector.fields, body: SecretBytes(copying: collector.body))
  }

  private func perform(_ handle: UnsafeMutableRawPointer, body: SecretBytes?) -> CURLcode {
    guard let body else { return unsafe coffer_curl_perform(handle) }
    // Lent, not copied: CURLOPT_POSTFIELDS keeps the address only.
    return body.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { bytes in
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        guard unsafe coffer_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, bytes.count) == CURLE_OK,
          unsafe coffer_curl_set_context(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: start)) == CURLE_OK
        else { return CURLE_BAD_FUNCTION_ARGUMENT }
        return unsafe coffer_curl_perform(handle)
      }
    }
  }

  // MARK: - Settings

  private func apply(to handle: UnsafeMutableRawPointer) -> Bool {
    let numbers: [(CURLoption, Int)] = [
      (CURLOPT_NOSIGNAL, 1), (CURLOPT_NOPROGRESS, 1), (CURLOPT_FOLLOWLOCATION, 0), (CURLOPT_SSL_VERIFYPEER, 1),
      (CURLOPT_SSL_VERIFYHOST, 2), (CURLOPT_PATH_AS_IS, 1), (CURLOPT_TIMEOUT_MS, options.deadline * 1000),
      (CURLOPT_CONNECTTIMEOUT_MS, options.connectDeadline * 1000), (CURLOPT_BUFFERSIZE, min(options.maximumBody, Self.readSize)),
    ]
    var texts: [(CURLoption, String)] = [(CURLOPT_PROTOCOLS_STR, "http,https")]
    if !options.usesProxy { texts.append((CURLOPT_PROXY, "")) }
    if let file = options.trustedCertificates { texts.append((CURLOPT_CAINFO, file)) }
    if let path = options.unixSocket { texts.append((CURLOPT_UNIX_SOCKET_PATH, path)) }
    return numbers.allSatisfy { unsafe coffer_curl_set_number(handle, $0.0, $0.1) == CURLE_OK }
      && texts.allSatisfy { unsafe coffer_curl_set_text(handle, $0.0, $0.1) == CURLE_OK }
  }

  private func apply(_ request: HTTPRequest, _ fields: FieldList, to handle: UnsafeMutableRawPointer) -> Bool {
    guard unsafe coffer_curl_set_text(handle, CURLOPT_URL, request.url) == CURLE_OK,
      unsafe coffer_curl_set_list(handle, CURLOPT_HTTPHEADER, fields.first) == CURLE_OK
    else { return false }
    // A body makes it POST and HEAD has none: CUSTOMREQUEST then only names the method.
    let isHead = "\(request.method)" == "HEAD"
    // What says that it is too long need not be read. The length that HEAD is told is of what does not come.
    let limit = isHead ? 0 : options.maximumBody
    return unsafe coffer_curl_set_size(handle, CURLOPT_MAXFILESIZE_LARGE, limit) == CURLE_OK
      && coffer_curl_set_number(handle, isHead ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1) == CURLE_OK
      && (request.body == nil || coffer_curl_set_number(handle, CURLOPT_POST, 1) == CURLE_OK)
      && (isHead || coffer_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, "\(request.method)") == CURLE_OK)
  }

  private func receive(into collector: ReplyCollector, on handle: UnsafeMutableRawPointer) -> Bool {
    let context = unsafe Unmanaged.passUnretained(collector).toOpaque()
    return unsafe coffer_curl_set_sink(handle, CURLOPT_WRITEFUNCTION, ReplyCollector.takeBody) == CURLE_OK
      && coffer_curl_set_context(handle, CURLOPT_WRITEDATA, context) == CURLE_OK
      && coffer_curl_set_sink(handle, CURLOPT_HEADERFUNCTION, ReplyCollector.takeField) == CURLE_OK
      && coffer_curl_set_context(handle, CURLOPT_HEADERDATA, context) == CURLE_OK
  }
}

extension HTTPFailure {
  /// From libcurl's code (libcurl-errors(3)).
  fileprivate init(_ code: CURLcode) {
    switch code {
    case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT: self = .invalidRequest
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: self = .unreachable
    case CURLE_OPERATION_TIMEDOUT: self = .timedOut
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER:
      self = .notTrusted
    case CURLE_FAILED_INIT, CURLE_OUT_OF_MEMORY: self = .unusable
    case CURLE_FILESIZE_EXCEEDED: self = .tooLarge
    default: self = .cutOff
    }
  }
}
