internal import AdminAPI
internal import Configuration
internal import ConfiguredKeys
internal import FastCGIClient
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

/// The operator's requests: to the running cofferd over its control socket, or, when none runs, to the same routes in
/// this process, which then holds the store's lock.
enum AdminClient {
  /// What a request that reads the whole store may take, in seconds.
  static let longPatience = 24 * 3600
  /// Bytes of the longest answer: an exported folder.
  private static let maximumAnswer = 128 << 20

  /// One request; the answer's JSON object, or what the server said against it.
  ///
  /// - Parameter patience: seconds without a byte of the answer.
  static func send(_ method: HTTPMethod, _ uri: String, body: JSONValue? = nil, directory: String, patience: Int = 60) throws -> JSONObject
  {
    try object(reply(method, uri, body: body, directory: directory, patience: patience))
  }

  /// The lines that a GET answers, and where they go on.
  static func lines(_ uri: String, directory: String) throws -> (bytes: [UInt8], nextCursor: String?) {
    let reply = try reply(.get, uri, body: nil, directory: directory, patience: 60)
    if reply.status != 200 { _ = try object(reply) }
    return (reply.body, reply.nextCursor)
  }

  private struct Reply {
    let status: Int
    let nextCursor: String?
    let body: [UInt8]
  }

  private static func reply(_ method: HTTPMethod, _ uri: String, body: JSONValue?, directory: String, patience: Int) throws -> Reply {
    let configuration = try settings(directory)
    let bytes = body?.serialized() ?? []
    guard bytes.count <= RequestDecoder.maximumControlBody else {
      throw Trouble("that is more than the \(RequestDecoder.maximumControlBody >> 20) MiB that fit into one request")
    }
    let type = body == nil ? nil : "application/json"
    let request = FastCGIRequest(method: method.rawValue, uri: uri, contentType: type, body: bytes)
    var patienceForStart = startPatience
    while true {
      if let reply = try reply(request, configuration, patience: patience) {
        return Reply(status: reply.status, nextCursor: reply[nextCursorField], body: reply.body)
      }
      do { return try inProcess(method, uri, bytes, configuration) } catch StoreError.locked where patienceForStart > 0 {
        // A cofferd that starts or ends has the store before and after it answers.
        usleep(UInt32(startPause) * 1000)
        patienceForStart -= startPause
      } catch StoreError.locked { throw Trouble("another process has the store, and its control socket does not answer") }
    }
  }

  private static let nextCursorField = "X-Next-Cursor"

  /// Milliseconds: how long a cofferd may have the store without answering, and between two looks.
  private static let (startPatience, startPause) = (5_000, 50)

  /// The text that a running cofferd answers to a GET; there is no other to ask.
  static func running(_ uri: String, directory: String) throws -> String {
    let configuration = try settings(directory)
    guard let reply = try reply(FastCGIRequest(method: "GET", uri: uri), configuration) else {
      throw Trouble("no cofferd runs for \(directory)")
    }
    guard reply.status == 200 else {
      _ = try object(Reply(status: reply.status, nextCursor: nil, body: reply.body))
      throw Trouble("cofferd answered \(reply.status)")
    }
    return String(decoding: reply.body, as: UTF8.self)
  }

  /// nil when no cofferd runs.
  private static func reply(_ request: FastCGIRequest, _ configuration: Configuration, patience: Int = 60) throws -> FastCGIReply? {
    do throws(FastCGIClient.Failure) {
      return try FastCGIClient(path: configuration.controlSocket.value, timeout: patience, limit: maximumAnswer).send(request)
    } catch {
      switch error {
      case .unreachable(ENOENT), .unreachable(ECONNREFUSED): return nil
      case .unreachable(let code):
        throw Trouble("\(configuration.controlSocket.value) cannot be used: \(unsafe String(cString: strerror(code)))")
      case .timedOut, .cutOff, .malformed, .tooLarge: throw Trouble("cofferd did not answer on its control socket; see its log")
      }
    }
  }

  /// Read once: the second time the environment holds no keys any more.
  private static let known = Locked<[String: Configuration]>([:])

  static func settings(_ directory: String) throws -> Configuration {
    if let known = known.withLock({ $0[directory] }) { return known }
    let environment = EnvironmentBlock.entries()
    EnvironmentBlock.scrub(EnvironmentBlock.secretNames(in: environment))
    let configuration: Configuration
    do {
      configuration = try Configuration.load(arguments: ["--dir", directory], environment: environment) {
        path throws(ConfigurationError) in
        if unsafe access(path, F_OK) != 0, errno == ENOENT { return nil }
        do { return try Folder.contents(of: path, limit: 1 << 20) } catch { throw .fileUnreadable(path: path) }
      }
    } catch { throw Trouble(error.message) }
    known.withLock { $0[directory] = configuration }
    return configuration
  }

  /// Whether a cofferd answers for the directory.
  static func isServed(_ directory: String) throws -> Bool {
    FastCGIClient(path: try settings(directory).controlSocket.value, timeout: 5).isReachable()
  }

  private static func inProcess(_ method: HTTPMethod, _ uri: String, _ body: [UInt8], _ configuration: Configuration) throws -> Reply {
    guard unsafe access(configuration.directory.value + "/store", F_OK) == 0 else {
      throw Trouble("\(configuration.directory.value) holds no store; run: coffer init --dir \(configuration.directory.value)")
    }
    let (service, store) = try opened(
      configuration, try rootKey(configuration), files: configuration.rootKeyFiles, store: configuration.directory.value + "/store")
    defer { store.close() }
    return try reply(method, uri, body, service)
  }

  /// The answer of the operator's routes over a store that this process has open.
  static func answer(_ method: HTTPMethod, _ uri: String, _ body: [UInt8], _ service: Service) throws -> JSONObject {
    try object(reply(method, uri, body, service))
  }

  private static func reply(_ method: HTTPMethod, _ uri: String, _ body: [UInt8], _ service: Service) throws -> Reply {
    let facts = AdminFacts(release: Release.version, started: Moment.milliseconds(), processID: getpid())
    let api = AdminAPI(desk: try Desk(service), facts: facts)
    var request = Request(
      method: method, target: try RequestTarget(parsing: Array(uri.utf8), normalised: nil), body: SecretBytes(copying: body),
      peer: Peer(address: "", isLocalOperator: true), id: "cli-\(getpid())-\(Moment.milliseconds())")
    if !body.isEmpty { request[.contentType] = Array("application/json".utf8) }
    let response = finished(api.answer(request))
    let bytes =
      switch response.body {
      case .empty: [UInt8]()
      case .bytes(let bytes): bytes
      case .secret(let secret): secret.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
      }
    let nextCursor = response.headers.first { "\($0.name)" == nextCursorField }?.value
    return Reply(status: response.status.code, nextCursor: nextCursor, body: bytes)
  }

  private static func finished(_ answer: Answer) -> Response {
    switch answer {
    case .now(let response): return response
    case .later(let start):
      let result = Locked<Response?>(nil)
      let done = OneTimeEvent()
      start { response in
        result.withLock { $0 = response }
        done.signal()
      }
      done.wait()
      return result.withLock { $0 } ?? Response(status: Status(500))
    }
  }

  /// The key that the store is under: the one in its place, or one that waits for it after a change.
  static func rootKeyInUse(_ directory: String) throws -> RootKey {
    let configuration = try settings(directory)
    let root = try rootKey(configuration)
    guard let waiting = try? configuration.rootKeyFiles.waiting(), try rootKeyID(directory) == waiting.id else { return root }
    return waiting
  }

  /// The id of the root key that the store is under.
  static func rootKeyID(_ directory: String) throws -> String? {
    try send(.get, "/admin/v1/root", directory: directory)["data"]?.object?["rootKeyId"]?.string?.text
  }

  static func rootKey(_ configuration: Configuration) throws -> RootKey {
    do throws(RootKeySource.Failure) { return try configuration.rootKeySource.read() } catch { throw Trouble(error.message) }
  }

  /// The store below a directory and its service under the exclusive lock, checked with the root key before anything is done.
  ///
  /// - Parameter files: where another key may wait that the store is under; nil = it must be `root`.
  static func opened(_ configuration: Configuration, _ root: RootKey, files: RootKeyFiles? = nil, store directory: String) throws -> (
    Service, SQLiteStore
  ) {
    do {
      let store = try SQLiteStore(directory: directory, allowsNetworkFileSystem: configuration.allowsNetworkFilesystem.value)
      do {
        let service = try Service(
          store: store, root: files.map { try Service.rootKey(of: store, usual: root, $0) } ?? root, wire: try wireRing(configuration),
          options: Service.Options(wireKeyFiles: configuration.wireKeyFiles, rootKeyFiles: files), now: Moment.milliseconds)
        return (service, store)
      } catch {
        store.close()
        throw error
      }
    } catch StartError.wrongRootKey {
      throw Trouble("the root key is not the one this store was made with; restore the right one from your copy")
    } catch StartError.notInitialised {
      throw Trouble("the store is empty; run: coffer init with a new directory")
    } catch StoreError.locked {
      throw StoreError.locked
    } catch StoreError.newerSchema(let found, let supported) {
      throw Trouble(
        """
        a newer Coffer has written this store: it has schema \(found), this program knows up to \(supported); install that version or a \
        later one, or restore a backup made before the upgrade; nothing was changed
        """)
    } catch StoreError.corrupt {
      throw Trouble("the store is damaged or is no Coffer store; restore a backup: coffer restore")
    } catch StoreError.networkFileSystem {
      throw Trouble("the store lies on a network file system, where its locks do not hold")
    } catch { throw Trouble("the store cannot be used: \(error)") }
  }

  /// Without its file, as beside a restored copy, what needs no token is still done.
  private static func wireRing(_ configuration: Configuration) throws -> WireRing {
    do throws(KeyFile.Failure) { return try configuration.wireRing } catch {
      guard case .missing = error else { throw error }
      return WireRing(primary: nil, retired: [])
    }
  }

  private static func object(_ reply: Reply) throws -> JSONObject {
    let limits = JSONLimits(bytes: maximumAnswer, depth: 160, members: 10_000_000)
    guard let object = try? JSONValue.parse(reply.body, limits: limits).object else {
      throw Trouble("cofferd answered \(reply.status) without JSON")
    }
    guard (200..<300).contains(reply.status) else { throw Trouble("refused (\(reply.status)): \(reason(in: object))") }
    return object
  }

  /// What an error says: the rules that were broken where it names them, its message otherwise.
  private static func reason(in error: JSONObject) -> String {
    let issues = issues(in: error["details"]?.object)
    guard issues.isEmpty else { return issues.joined(separator: "; ") }
    return error["message"]?.string?.text ?? error["detail"]?.string?.text ?? "no reason given"
  }
}

extension AdminClient {
  /// `POINTER: RULE` for each rule that was broken.
  static func issues(in details: JSONObject?) -> [String] {
    (details?["issues"]?.array ?? []).compactMap { issue in
      guard let pointer = issue.object?["pointer"]?.string?.text, let rule = issue.object?["rule"]?.string?.text else { return nil }
      return "\(pointer): \(rule)"
    }
  }
}

/// Every page of a list.
enum AdminList {
  static func all(_ path: String, directory: String, limit: Int = .max, _ each: (JSONObject) throws -> Void) throws {
    var cursor: String?
    var left = limit
    while left > 0 {
      let uri = path + (path.contains("?") ? "&" : "?") + "limit=\(min(left, 200))" + (cursor.map { "&cursor=\($0)" } ?? "")
      let page = try AdminClient.send(.get, uri, directory: directory)
      let rows = page["data"]?.array ?? []
      for row in rows { if let row = row.object { try each(row) } }
      left -= rows.count
      guard let next = page["cursor"]?.string?.text, next != cursor else { return }
      cursor = next
    }
  }
}
