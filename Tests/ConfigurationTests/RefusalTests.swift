import SecretMemory
import Testing

@testable import Configuration

/// What every refused `agent-server` is told.
private let agentServerForms =
  "--agent-server must be http://HOST:PORT without a path, or unix:/PATH; "
  + "or several as NAME=ADDRESS between blanks or commas"

struct RefusalTests {
  private static let canary = "c4n4ry-v4lue"

  /// Every refusal, and that its text holds names but never the value.
  @Test(arguments: [
    (["--dir"], "--dir needs a value"),
    (["--threads", "--dir", "/d"], "--threads needs a value"),
    (["c4n4ry-v4lue"], "argument 1 is not a flag; every setting is --name value"),
    (["--dir", "/d", "c4n4ry-v4lue"], "argument 3 is not a flag; every setting is --name value"),
    (["--"], "argument 1 is not a flag; every setting is --name value"),
    (["--treads", "c4n4ry-v4lue"], "unknown setting --treads; did you mean --threads?"),
    (["--treads=c4n4ry-v4lue"], "unknown setting --treads; did you mean --threads?"),
    (["--c4n4ry-v4lue"], "unknown setting --…; see conf/coffer.conf for the list"),
    (["--threads=c4n4ry-v4lue"], "--threads must be a number from 0 to 256"),
    (["--threads=257"], "--threads must be a number from 0 to 256"),
    (["--threads=-1"], "--threads must be a number from 0 to 256"),
    (["--threads="], "--threads is empty; give a value or leave it out"),
    (["--threads=1", "--threads=1"], "--threads is given twice"),
    (["--socket-mode=666"], "--socket-mode must be an octal mode of at most 0660"),
    (["--socket-mode=9"], "--socket-mode must be an octal mode of at most 0660"),
    (["--insecure-open=c4n4ry-v4lue"], "--insecure-open must be true or false"),
    (["--audit-exposures=c4n4ry-v4lue"], "--audit-exposures must be one of before-reply, batched"),
    (["--log-level=c4n4ry-v4lue"], "--log-level must be one of error, warning, info"),
    (["--allowed-uids=33,c4n4ry-v4lue"], "--allowed-uids must be user ids between blanks or commas"),
    (["--allowed-uids=,"], "--allowed-uids must be user ids between blanks or commas"),
    (["--cors-origins=c4n4ry-v4lue"], "--cors-origins must be origins (scheme://host:port) between blanks or commas"),
    (["--cors-origins=https://a.example/c4n4ry"], "--cors-origins must be origins (scheme://host:port) between blanks or commas"),
    (["--web-url=ftp://c4n4ry-v4lue"], "--web-url must be an http or https URL"),
    (["--audit-head-minutes=c4n4ry-v4lue"], "--audit-head-minutes must be a number from 0 to 10080"),
    (["--audit-head-webhook=http://c4n4ry-v4lue/"], "--audit-head-webhook must be an https URL, or an http one of this machine"),
    (["--audit-head-webhook=http://localhost.c4n4ry-v4lue"], "--audit-head-webhook must be an https URL, or an http one of this machine"),
    (["--audit-head-webhook=http://localhost:1@c4n4ry-v4lue"], "--audit-head-webhook must be an https URL, or an http one of this machine"),
    (["--agent-server=c4n4ry-v4lue"], agentServerForms),
    (["--agent-server=https://c4n4ry-v4lue"], agentServerForms),
    (["--agent-server=http://c4n4ry:v4lue@h"], agentServerForms),
    (["--agent-server=http://h:1/c4n4ry-v4lue"], agentServerForms),
    (["--agent-server=unix:c4n4ry-v4lue"], agentServerForms),
    (["--agent-server=unix:/c4n4ry:v4lue"], agentServerForms),
    (["--agent-server-deadline=61"], "--agent-server-deadline must be seconds from 1 to 60"),
    (["--conversation-minutes=0"], "--conversation-minutes must be minutes from 1 to 43200"),
    (["--conversation-secrets=c4n4ry-v4lue"], "--conversation-secrets must be one of as-sent, lookup"),
    (["--lookup-url=c4n4ry-v4lue"], "--lookup-url must be an http or https URL"),
    (["--docker-host=a/c4n4ry-v4lue"], "--docker-host must be a host name or address"),
    (["--socket=/a\nc4n4ry-v4lue"], "--socket must be a path"),
    (["--config=/nowhere"], "/nowhere does not exist"),
  ])
  func flags(arguments: [String], message: String) {
    let found = failure(arguments)?.message
    #expect(found == message)
    #expect(found?.contains(Self.canary) == false)
  }

  @Test(arguments: [
    ("COFFER_THREDS=c4n4ry-v4lue", "unknown setting COFFER_THREDS; did you mean COFFER_THREADS?"),
    ("COFFER_DATABASE_PASSWORD=c4n4ry-v4lue", "unknown setting COFFER_DATABASE_PASSWORD; see conf/coffer.conf for the list"),
    ("COFFER_\u{1B}[31m=1", "unknown setting COFFER_…; see conf/coffer.conf for the list"),
    ("COFFER_c4n4ry-v4lue=1", "unknown setting COFFER_…; see conf/coffer.conf for the list"),
    ("COFFER_THREADS=c4n4ry-v4lue", "COFFER_THREADS must be a number from 0 to 256"),
    ("COFFER_THREADS=", "COFFER_THREADS is empty; give a value or leave it out"),
    ("OH_WEB_URL=c4n4ry-v4lue", "OH_WEB_URL must be an http or https URL"),
    ("OH_ALLOW_CORS_ORIGINS_0=c4n4ry-v4lue", "OH_ALLOW_CORS_ORIGINS_0 must be origins (scheme://host:port) between blanks or commas"),
    ("OH_SESSION_API_KEYS=c4n4ry-v4lue", "OH_SESSION_API_KEYS must be a JSON list of strings"),
    ("OH_SESSION_API_KEYS=[\"c4n4ry-v4lue\",1]", "OH_SESSION_API_KEYS must be a JSON list of strings"),
    ("OH_SESSION_API_KEYS={\"a\":\"c4n4ry-v4lue\"}", "OH_SESSION_API_KEYS must be a JSON list of strings"),
  ])
  func variables(entry: String, message: String) {
    let found = failure(environment: [entry])?.message
    #expect(found == message)
    #expect(found?.contains(Self.canary) == false)
  }

  @Test(arguments: [
    ("treads = c4n4ry-v4lue", "unknown setting treads (/d/coffer.conf:1); did you mean threads?"),
    ("secret-key = c4n4ry-v4lue", "unknown setting secret-key (/d/coffer.conf:1); see conf/coffer.conf for the list"),
    ("dir = /x", "unknown setting dir (/d/coffer.conf:1); see conf/coffer.conf for the list"),
    ("\nthreads = 1\nthreads = 2", "threads is given twice (/d/coffer.conf:3)"),
    ("threads", "/d/coffer.conf:1 is not of the form key = value"),
    ("C4N4RY c4n4ry-v4lue = 1", "/d/coffer.conf:1 is not of the form key = value"),
    ("= 1", "/d/coffer.conf:1 is not of the form key = value"),
    ("threads =", "threads (/d/coffer.conf:1) is empty; give a value or leave it out"),
    ("threads = c4n4ry-v4lue", "threads (/d/coffer.conf:1) must be a number from 0 to 256"),
    ("threads = 1\u{0}", "/d/coffer.conf is no UTF-8 text"),
  ])
  func files(text: String, message: String) {
    let found = failure(file: text)?.message
    #expect(found == message)
    #expect(found?.contains(Self.canary) == false)
  }

  @Test func aLongFileIsRefused() {
    #expect(failure(file: String(repeating: "#", count: 65537)) == .fileTooLarge(path: "/d/coffer.conf", limit: 65536))
    #expect(failure(file: String(repeating: "#", count: 65536)) == nil)
  }

  @Test func bytesThatAreNoTextAreRefused() {
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration.load(arguments: [], environment: [Array("COFFER_SOCKET=".utf8) + [0xFF]]) { _ in nil }
    }
    #expect(error == .invalidValue("COFFER_SOCKET", from: .environment("COFFER_SOCKET"), expected: "UTF-8 text"))
  }

  @Test(arguments: [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("threads", "treads", 1), ("ab", "ba", 2)])
  func distance(left: String, right: String, expected: Int) {
    #expect(editDistance(left, right) == expected)
    #expect(editDistance(right, left) == expected)
  }

  @Test func namesThatAreFarHaveNoNearest() {
    #expect(nearest(to: "xyz", among: ["threads", "socket"]) == nil)
    #expect(nearest(to: String(repeating: "x", count: 65), among: [String(repeating: "x", count: 65)]) == nil)
    #expect(nearest(to: "soket", among: ["socket", "sockets"]) == "socket")
  }
}
