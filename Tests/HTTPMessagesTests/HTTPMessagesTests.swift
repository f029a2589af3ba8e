import HTTPMessages
import SecretMemory
import StrictJSON
import TestSupport
import Testing

private func decode(_ parameters: [String], body: [UInt8] = []) throws(RequestRefusal) -> Request {
  var decoder = RequestDecoder()
  for parameter in parameters {
    let bytes = Array(parameter.utf8)
    var failure: RequestRefusal?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(RequestRefusal) { try unsafe decoder.add(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
  return try decoder.request(body: SecretBytes(copying: body), peer: false, freshID: { "fresh-id" })
}

private let base = ["REQUEST_METHOD=GET", "REQUEST_URI=/a", "DOCUMENT_URI=/a"]

@Suite struct RequestDecoderTests {
  @Test func takesWhatItKnowsAndIgnoresTheRest() throws {
    let request = try decode(
      base + [
        "HTTP_X_SESSION_API_KEY=key", "HTTP_PROXY=evil", "REMOTE_USER=root", "HTTPS=on", "REMOTE_ADDR=1.2.3.4", "HTTP_HOST=h:1",
        "REQUEST_SCHEME=http",
      ])
    #expect(request[.sessionKey] == Array("key".utf8))
    #expect(request.peer == Peer(address: "1.2.3.4", isLocalOperator: false))
    #expect(request.host == "h:1" && request.scheme == "http")
    #expect(request.id == "fresh-id")
  }

  struct Case: Sendable {
    let parameters: [String]
    let body: Int
    let refusal: RequestRefusal
    init(_ parameters: [String], body: Int = 0, _ refusal: RequestRefusal) {
      self.parameters = parameters
      self.body = body
      self.refusal = refusal
    }
  }

  @Test(arguments: [
    Case(["REQUEST_METHOD=GET"], .invalidRequest), Case(["REQUEST_URI=/a"], .invalidRequest), Case(base + ["NOEQUALS"], .invalidRequest),
    Case(base + ["HTTP_X_SESSION_API_KEY=a", "HTTP_X_SESSION_API_KEY=b"], .invalidRequest), Case(base + base, .invalidRequest),
    Case(base + ["HTTP_FOO=a", "HTTP_FOO=a"], .invalidRequest), Case(base + ["HTTP_HOST=a b"], .invalidRequest),
    Case(base + ["HTTP_HOST=a\r\nX: y"], .invalidRequest), Case(base + ["CONTENT_LENGTH=-1"], .invalidRequest),
    Case(base + ["CONTENT_LENGTH=+1"], .invalidRequest), Case(base + ["CONTENT_LENGTH=1 "], .invalidRequest),
    Case(base + ["CONTENT_LENGTH=99999999999999999999999"], .bodyTooLarge), Case(base + ["CONTENT_LENGTH=1048577"], .bodyTooLarge),
    Case(base + ["CONTENT_LENGTH=5"], body: 4, .incompleteBody), Case(base + ["CONTENT_LENGTH=5"], body: 6, .incompleteBody),
    Case(base + ["CONTENT_LENGTH="], body: 1_048_577, .bodyTooLarge),
    Case(base + ["HTTP_IF_MATCH=" + String(repeating: "x", count: 8193)], .headerTooLarge),
    Case(["REQUEST_METHOD=GET", "REQUEST_URI=/a/../b", "DOCUMENT_URI=/b"], .invalidPath),
    Case(["REQUEST_METHOD=GET", "REQUEST_URI=/a%00", "DOCUMENT_URI=/a"], .invalidPath),
    Case(["REQUEST_METHOD=GET", "REQUEST_URI=/a%4", "DOCUMENT_URI=/a%4"], .invalidPath),
    Case(["REQUEST_METHOD=GET", "REQUEST_URI=a", "DOCUMENT_URI=a"], .invalidPath),
  ])
  func refuses(_ item: Case) {
    #expect(throws: item.refusal) { try decode(item.parameters, body: [UInt8](repeating: 1, count: item.body)) }
  }

  @Test(arguments: [("CONTENT_LENGTH=0005", 5), ("CONTENT_LENGTH=", 3), ("CONTENT_LENGTH=1048576", 1_048_576)])
  func takesWholeBodies(_ length: String, _ count: Int) throws {
    #expect(try decode(base + [length], body: [UInt8](repeating: 7, count: count)).body.count == count)
  }

  @Test(arguments: [
    ("abcdefgh", "abcdefgh"), ("short", "nginx-0123456789"), ("has space in it", "nginx-0123456789"),
    ("a\r\nb-long-enough", "nginx-0123456789"),
  ])
  func keepsGoodRequestIDsOnly(_ sent: String, _ id: String) throws {
    #expect(try decode(base + ["HTTP_X_REQUEST_ID=\(sent)", "REQUEST_ID=nginx-0123456789"]).id == id)
  }

  @Test func unknownMethodsAreNotRouted() throws {
    for method in ["TRACE", "get", "", "FOO-BAR"] {
      #expect(try decode(["REQUEST_METHOD=\(method)", "REQUEST_URI=/a"]).method == .other)
    }
  }

  /// Every target of the vectors, as nginx would hand it over: what must not be routed is refused or has another path.
  @Test func everyTargetOfTheVectors() throws {
    let file = try Vectors.own("paths/request_targets.json")
    let router = Router(routes: [
      (methods: [.get], pattern: "/api/settings/secrets/{name}"), (methods: [.get], pattern: "/api/settings"),
    ])
    let names = ["settings.secret", "settings"]
    var run = 0
    for item in file["cases"].list {
      run += 1
      let passed = [item["nginx_1_22_1"]["both"], item["nginx_1_22_1"]["merge_off"]].first { !$0.isNull }
      guard let passed, passed["status"].integer == 200 else { continue }
      func bytes(_ value: JSONValue) -> [UInt8] { value.text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
      let target = try? RequestTarget(parsing: bytes(passed["REQUEST_URI"]), normalised: bytes(passed["PATH_INFO_from_uri_var"])[...])
      var isRouted = false
      if let target, case .found(let place, let parameters) = router.match(target, .get) {
        let route = names[place]
        isRouted = item["endpoint"].text == route
        if isRouted, route == "settings.secret" { #expect(parameters == [bytes(item["params"]["name"])], "\(item["target"].text)") }
        // A name outside the rule is refused by the API; one inside it must be the one literally named.
        let isName = parameters.first.map { name in
          name.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F }
        }
        if isName == true { #expect(item["expect"].text != "reject", "\(item["target"].text)") }
      }
      if item["expect"].text == "route", ["settings.secret", "settings"].contains(item["endpoint"].text) {
        #expect(isRouted, "\(item["target"].text)")
      }
    }
    #expect(run == 99)
  }
}

@Suite struct RouterTests {
  private let router = Router(routes: [
    (methods: [.get], pattern: "/"), (methods: [.get, .delete], pattern: "/a/{name}"), (methods: [.get], pattern: "/a/b"),
    (methods: [.put], pattern: "/a/b"), (methods: [.get], pattern: "/c/{x}/e"), (methods: [.get], pattern: "/c/d/{y}"),
    (methods: [.get], pattern: "/c/d/{y}/f"), (methods: [.get], pattern: "/c/{x}/e/{z}"),
  ])

  private func match(_ path: String, _ method: HTTPMethod = .get) throws -> String {
    "\(router.match(try RequestTarget(parsing: Array(path.utf8), normalised: nil), method))"
  }

  @Test(arguments: [
    ("/", HTTPMethod.get, "found(route: 0, parameters: [])"), ("/a/x", .get, "found(route: 1, parameters: [[120]])"),
    ("/a/b", .get, "found(route: 2, parameters: [])"),
    ("/a/b", .head, "found(route: 2, parameters: [])"), ("/a/b", .put, "found(route: 3, parameters: [])"),
    ("/a/b", .post, "methodNotAllowed(allow: \"GET, HEAD, PUT\")"),
    ("/a/x", .put, "methodNotAllowed(allow: \"GET, HEAD, DELETE\")"), ("/a/%62", .get, "found(route: 2, parameters: [])"),
    ("/A/b", .get, "notFound"),
    ("/a/x%2Fy", .get, "notFound"), ("/a/", .get, "notFound"), ("/a/x/", .get, "trailingSlash"), ("/a//b", .get, "notFound"),
    ("//", .get, "notFound"),
    // Of two that fit with as many literals the first one; what fits one part alone leads on from there.
    ("/c/d/e", .get, "found(route: 4, parameters: [[100]])"), ("/c/d/g", .get, "found(route: 5, parameters: [[103]])"),
    ("/c/d/e/f", .get, "found(route: 6, parameters: [[101]])"), ("/c/d/e/g", .get, "found(route: 7, parameters: [[100], [103]])"),
    ("/c/d/g/h", .get, "notFound"), ("/a", .get, "notFound"),
    ("/a/x/y", .get, "notFound"), ("/a/b", .other, "methodNotAllowed(allow: \"GET, HEAD, PUT\")"),
  ])
  func says(_ path: String, _ method: HTTPMethod, _ answer: String) throws { #expect(try match(path, method) == answer) }
}

@Suite struct ResponseHeadTests {
  @Test func noValueStartsALineOfItsOwn() {
    let response = Response(
      status: Status(200), contentType: "text/plain", headers: [("X-Good", "yes"), ("X-Bad", "a\r\nSet-Cookie: x"), ("X-High", "é")],
      body: .bytes([1, 2]))
    let text = String(decoding: response.head(requestID: "r"), as: UTF8.self)
    #expect(text.hasPrefix("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"))
    #expect(text.contains("Cache-Control: no-store\r\n") && text.contains("X-Content-Type-Options: nosniff\r\n"))
    #expect(text.contains("X-Good: yes\r\n") && !text.contains("Set-Cookie") && !text.contains("X-High"))
    #expect(text.hasSuffix("\r\n\r\n"))
  }
}

@Suite struct PathPrefixTests {
  @Test(arguments: [
    ("https://example.org", "/api/settings", ["api", "settings"]), ("https://example.org/", "/api/settings", ["api", "settings"]),
    ("https://example.org/coffer", "/coffer/api/settings", ["api", "settings"]),
    ("https://example.org/coffer/", "/api/settings", ["api", "settings"]),
    ("https://example.org/a/b?x=/c", "/a/b/alive", ["alive"]), ("https://example.org/coffer", "/coffered/alive", ["coffered", "alive"]),
    ("https://example.org/coffer", "/coffer", []), ("https://example.org/coffer", "/coffer/", []), ("/coffer", "/coffer/alive", ["alive"]),
    ("https://example.org/a%20b", "/a%20b/alive", ["alive"]), ("https://example.org/a%2Fb", "/a/b/alive", ["a", "b", "alive"]),
    ("https://example.org/%zz", "/alive", ["alive"]),
  ])
  func isTakenAwayOnce(_ url: String, _ path: String, _ segments: [String]) throws {
    let target = try RequestTarget(parsing: Array(path.utf8), normalised: nil)
    let removed = PathPrefix(url: url).removed(from: target)
    #expect(removed.segments == segments.map { Array($0.utf8) })
    #expect(removed.rawPath == path)
    #expect(!removed.hasTrailingSlash)
  }
}

@Suite struct StatusTextTests {
  @Test func everyListedStatusHasAPhraseAndEveryPhraseIsListed() {
    for code in 100..<600 { #expect((StatusText.reason(code) != "Status") == StatusText.codes.contains(code), "\(code)") }
  }
}

@Suite struct PatternTests {
  private let router = Router(routes: [
    ([.get], "/a"), ([.get], "/a/{name}"), ([.put], "/a/{name}"), ([.get], "/a/special"),
  ])

  /// A path's pattern does not depend on the method, and never on what a parameter holds.
  @Test(
    arguments: [
      ("/a", "/a"), ("/a/x", "/a/{name}"), ("/a/special", "/a/special"), ("/a/x%2Fy", nil), ("/b", nil), ("/a/x/y", nil), ("/a/", "/a"),
    ] as [(String, String?)])
  func isFoundOnce(_ path: String, _ pattern: String?) throws {
    let target = try RequestTarget(parsing: Array(path.utf8), normalised: nil)
    #expect(router.patterns == ["/a", "/a/{name}", "/a/special"])
    #expect(router.pattern(of: target).map { router.patterns[$0] } == pattern)
  }
}
