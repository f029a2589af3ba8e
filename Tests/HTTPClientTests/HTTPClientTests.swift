import SecretMemory
import TestSupport
import Testing

@testable import HTTPClient

struct HTTPClientTests {
  private func client(_ server: ScriptedServer, maximumBody: Int = 1000, deadline: Int = 5) -> HTTPClient {
    HTTPClient(HTTPClient.Options(deadline: deadline, maximumBody: maximumBody, unixSocket: server.path))
  }

  private func serving(
    _ answer: String, pause: UInt32 = 0, _ body: (ScriptedServer) throws -> Void
  ) throws {
    let directory = TemporaryDirectory()
    let server = try ScriptedServer(path: directory.path + "/s", answer: Array(answer.utf8), pause: pause)
    defer { server.stop() }
    try body(server)
  }

  @Test func anAnswerComesWhole() throws {
    try serving("HTTP/1.1 418 Odd\r\nETag: \"s1\"\r\nX-Two:  padded \r\nContent-Length: 5\r\n\r\nhello") { server in
      var request = HTTPRequest(
        "PATCH", "http://host/path/../kept?q=%2F", fields: [("X-One", "1")], body: SecretBytes(copying: Array("{}".utf8)))
      request.secretFields = [("Authorization", SecretBytes(copying: Array("Bearer abc".utf8)))]
      let reply = try client(server).send(request)
      #expect(reply.status == 418)
      #expect(reply.field("etag") == "\"s1\"")
      #expect(reply.field("x-two") == "padded")
      #expect(reply.body == SecretBytes(copying: Array("hello".utf8)))
      let sent = try #require(server.requests.first)
      #expect(sent.hasPrefix("PATCH /path/../kept?q=%2F HTTP/1.1\r\n"))
      #expect(sent.contains("\r\nAuthorization: Bearer abc\r\n"))
      #expect(sent.contains("\r\nX-One: 1\r\n"))
      #expect(sent.contains("\r\nContent-Length: 2\r\n"))
      #expect(!sent.contains("Expect:"))
      #expect(sent.hasSuffix("\r\n\r\n{}"))
    }
  }

  @Test func aRedirectIsAnAnswer() throws {
    try serving("HTTP/1.1 307 Elsewhere\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n") { server in
      let reply = try client(server).send(HTTPRequest("GET", "http://host/"))
      #expect(reply.status == 307)
      #expect(reply.field("location") == "http://other/")
      #expect(server.requests.count == 1)
    }
  }

  @Test func onlyTheLastHeadCounts() throws {
    try serving("HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") { server in
      let reply = try client(server).send(HTTPRequest("GET", "http://host/"))
      #expect(reply.status == 200)
      #expect(reply.field("x-early") == nil)
    }
  }

  @Test(
    "failures",
    arguments: [
      ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", UInt32(0), HTTPFailure.cutOff),
      ("HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 1001), 0, .tooLarge),
      ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\nnot read", 0, .tooLarge),
      ("HTTP/1.1 200 OK\r\nX-Long: " + String(repeating: "x", count: 70_000) + "\r\n\r\n", 0, .tooLarge),
      ("SSH-2.0-OpenSSH\r\n", 0, .cutOff),
      ("", 0, .cutOff),
      ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1500, .timedOut),
    ])
  func failures(answer: String, pause: UInt32, failure: HTTPFailure) throws {
    try serving(answer, pause: pause) { server in
      #expect(throws: failure) { try client(server, deadline: 1).send(HTTPRequest("GET", "http://host/")) }
    }
  }

  @Test func aLongestAnswerFits() throws {
    try serving("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 1000)) { server in
      let reply = try client(server).send(HTTPRequest("GET", "http://host/"))
      #expect(reply.body.count == 1000)
    }
  }

  @Test func theLengthThatHEADIsToldCostsNothing() throws {
    try serving("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n") { server in
      let reply = try client(server).send(HTTPRequest("HEAD", "http://host/"))
      #expect(reply.field("content-length") == "1001")
    }
  }

  @Test(
    "requests that are never sent",
    arguments: [
      ("ftp://host/", "X", "1"), ("http://host/", "X", "a\r\nInjected: 1"), ("http://host/", "X\nY", "1"), ("http://host/", "X: Y", "1"),
      ("http://host/", "", "1"), ("no url", "X", "1"),
    ])
  func unsendable(url: String, name: String, value: String) throws {
    try serving("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") { server in
      #expect(throws: HTTPFailure.self) { try client(server).send(HTTPRequest("GET", url, fields: [(name, value)])) }
      #expect(server.requests.isEmpty)
    }
  }

  @Test func nobodyThere() {
    #expect(throws: HTTPFailure.unreachable) { try HTTPClient().send(HTTPRequest("GET", "http://127.0.0.1:1/")) }
  }
}
