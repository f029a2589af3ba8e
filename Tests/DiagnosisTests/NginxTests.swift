import Glibc
import HTTPMessages
import Testing

@testable import Diagnosis

/// A configuration from texts by their paths; `*` stands at the end of a pattern only.
private func parse(_ files: [String: String], _ path: String = "/n/nginx.conf") throws(NginxConfiguration.Problem) -> NginxConfiguration {
  try NginxConfiguration(path: path, read: { files[$0] }) { pattern in
    files.keys.filter { $0.hasPrefix(pattern.prefix { $0 != "*" }) }.sorted()
  }
}

private func shipped(_ name: String) throws -> String {
  let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  return try #require(text(of: "/\(root)/nginx/\(name)"))
}

/// Without Foundation: a file as text.
private func text(of path: String) -> String? {
  guard let file = unsafe fopen(path, "re") else { return nil }
  defer { unsafe fclose(file) }
  var buffer = [UInt8](repeating: 0, count: 1 << 20)
  let count = unsafe fread(&buffer, 1, buffer.count, file)
  return String(decoding: buffer.prefix(count), as: UTF8.self)
}

private let socket = "/run/coffer/cofferd.sock"

/// The shipped files with `old` replaced by `new` in the server's.
private func route(_ old: String = "", _ new: String = "") throws -> NginxRoute {
  let server = try shipped("coffer-server.conf")
  let changed = old.isEmpty ? server : server.replacing(old, with: new)
  try #require(old.isEmpty || changed != server, "\(old) is not in the shipped file")
  let main = "events {} http { include coffer-http.conf; server { listen 1; server_name s.example; include coffer-server.conf; } }"
  let configuration = try parse([
    "/n/nginx.conf": main, "/n/coffer-http.conf": try shipped("coffer-http.conf"), "/n/coffer-server.conf": changed,
  ])
  return try #require(configuration.routes(to: socket).first)
}

private func judged(_ code: Finding.Code, _ route: NginxRoute) throws -> Finding {
  try #require(
    route.judge(wanted: RequestDecoder.parameterNames, maximumBody: UInt64(RequestDecoder.maximumBody)).first { $0.code == code })
}

struct NginxJudgementTests {
  @Test func theShippedFilesAreGood() throws {
    let findings = try route().judge(wanted: RequestDecoder.parameterNames, maximumBody: UInt64(RequestDecoder.maximumBody))
    #expect(findings.map(\.code) == [.nginxHeaders, .nginxBodies, .nginxRepeats, .nginxLog])
    #expect(findings.allSatisfy { $0.kind == .good && $0.text.contains("location / of s.example") })
  }

  /// Each parameter that cofferd reads is missed when its line goes.
  @Test(arguments: RequestDecoder.parameterNames) func aMissingParameter(_ name: String) throws {
    let finding = try judged(.nginxHeaders, try route("fastcgi_param \(name) ", "fastcgi_param OTHER_\(name) "))
    #expect(finding.kind == .wrong)
    #expect(finding.text.contains("does not pass \(name) to cofferd; add: fastcgi_param \(name) $"))
  }

  @Test(
    arguments: [
      ("fastcgi_pass_request_headers off;", "", .nginxHeaders, .wrong, "passes every header"),
      ("client_body_buffer_size  2m;", "client_body_buffer_size 16k;", .nginxBodies, .wrong, "keeps 16384 bytes in memory"),
      ("client_body_buffer_size  2m;", "", .nginxBodies, .wrong, "keeps 16384 bytes in memory"),
      ("client_max_body_size     1m;", "client_max_body_size 0;", .nginxBodies, .wrong, "of any size"),
      ("client_max_body_size     1m;", "client_max_body_size 100m;", .nginxBodies, .wrong, "of up to 104857600 bytes"),
      ("client_max_body_size     1m;", "client_max_body_size 512k;", .nginxBodies, .warning, "refuses bodies over 524288 bytes"),
      ("client_max_body_size     1m;", "client_max_body_size 2M;", .nginxBodies, .good, ""),
      ("fastcgi_max_temp_file_size  0;", "", .nginxBodies, .wrong, "may write an answer to a file"),
      ("fastcgi_next_upstream       off;", "", .nginxRepeats, .wrong, "second time"),
      ("fastcgi_next_upstream       off;", "fastcgi_next_upstream error timeout;", .nginxRepeats, .wrong, "second time"),
      ("error_log     stderr alert;", "error_log stderr info;", .nginxLog, .wrong, "keys included"),
      ("error_log     stderr alert;", "error_log stderr alert; error_log /l debug;", .nginxLog, .wrong, "at debug"),
      ("error_log     stderr alert;", "error_log stderr warn;", .nginxLog, .warning, "request lines"),
      ("error_log     stderr alert;", "error_log /var/log/e;", .nginxLog, .warning, "at error"),
      ("error_log     stderr alert;", "", .nginxLog, .warning, "at error"),
      ("error_log     stderr alert;", "error_log stderr emerg;", .nginxLog, .good, ""),
    ] as [(String, String, Finding.Code, Finding.Kind, String)])
  func aChangedSetting(_ old: String, _ new: String, _ code: Finding.Code, _ kind: Finding.Kind, _ text: String) throws {
    let finding = try judged(code, try route(old, new))
    #expect(finding.kind == kind, "\(finding.text)")
    #expect(text.isEmpty || finding.text.contains(text), "\(finding.text)")
  }

  @Test(
    arguments: [
      ("1", 1), ("16k", 16384), ("2M", 2 << 20), ("1g", 1 << 30), ("", nil), ("k", nil), ("-1", nil), ("99999999999999999999", nil),
      ("1x", nil),
    ] as [(String, UInt64?)])
  func sizes(_ text: String, _ bytes: UInt64?) { #expect(NginxRoute.bytes(text) == bytes) }
}

struct NginxConfigurationTests {
  /// A level that says anything hides what the levels around it say.
  @Test func directivesAreInheritedWholeOrNotAtAll() throws {
    let text = """
      error_log /main debug;
      http { fastcgi_param A 1; client_max_body_size 3m; upstream up { server unix:/s; keepalive 3; }
        server { fastcgi_param B 1; ssl_certificate /c1; ssl_certificate /c2;
          location /deep { location /deep/er { fastcgi_pass up; fastcgi_param C 1; fastcgi_param D 1; } }
          location = /x { fastcgi_pass unix:/s; client_max_body_size 4m; } } }
      """
    let routes = try parse(["/n/nginx.conf": text]).routes(to: "/s")
    #expect(routes.map(\.name) == ["location /deep/er", "location = /x"])
    #expect(routes.map(\.parameters) == [["C", "D"], ["B"]])
    #expect(routes.map(\.bodyLimit) == [3 << 20, 4 << 20])
    #expect(routes.map(\.logLevels) == [["debug"], ["debug"]])
    #expect(routes[0].certificates == ["/c1", "/c2"])
    #expect(try parse(["/n/nginx.conf": text]).routes(to: "/other").isEmpty)
  }

  @Test func includesStandInTheirPlaces() throws {
    let configuration = try parse([
      "/n/nginx.conf": "include a.conf; http { include /x/*.conf; include none/*; }", "/n/a.conf": "user www-data; include b.conf;",
      "/n/b.conf": "pid x;", "/x/1.conf": "one 1;", "/x/2.conf": "two 2;",
    ])
    #expect(configuration.directives.map(\.name) == ["user", "pid", "http"])
    #expect(configuration.directives.last?.block?.map(\.name) == ["one", "two"])
    #expect(configuration.user == "www-data")
  }

  @Test(
    arguments: [
      ("a 'b;{} c' \"d\\\"e\" f#g; # h;\n i;", [["a", "b;{} c", "d\"e", "f#g"], ["i"]]),
      ("if ($a = \"\") { b ${c}d; }", [["if", "($a", "=", "", ")"]]),
      ("location ~ ^/x\\;y$ { }", [["location", "~", "^/x\\;y$"]]), ("", []),
    ] as [(String, [[String]])])
  func words(_ text: String, _ expected: [[String]]) throws {
    let found = try parse(["/n/nginx.conf": text]).directives.map { [$0.name] + $0.arguments }
    #expect(found == expected)
  }

  @Test(
    arguments: [
      ("http {", .malformed(path: "/n/nginx.conf")), ("}", .malformed(path: "/n/nginx.conf")), ("a", .malformed(path: "/n/nginx.conf")),
      ("; a;", .malformed(path: "/n/nginx.conf")), ("a { b }", .malformed(path: "/n/nginx.conf")),
      ("a \"b;", .malformed(path: "/n/nginx.conf")),
      ("include gone.conf;", .unreadable(path: "/n/gone.conf")), ("include nginx.conf;", .tooDeep(path: "/n/nginx.conf")),
    ] as [(String, NginxConfiguration.Problem)])
  func refusals(_ text: String, _ problem: NginxConfiguration.Problem) {
    #expect(throws: problem) { try parse(["/n/nginx.conf": text]) }
  }
}
