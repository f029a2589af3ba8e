import Testing

@testable import Configuration

struct ShownSettingTests {
  private func row(_ name: String, _ arguments: [String] = ["--dir", "/d"], environment: [String] = [], file: String? = nil) throws
    -> String
  {
    let configuration = try load(arguments, environment: environment, file: file)
    let row = try #require(configuration.shown.first { $0.name == name })
    return "\(row.value ?? "nil") from \(row.origin)"
  }

  @Test(
    arguments: [
      ("dir", [], nil, "/d from --dir"), ("config", [], nil, "nil from default"), ("config", [], "", "/d/coffer.conf from default"),
      ("socket", [], nil, "/d/run/cofferd.sock from default"), ("socket", [], "\nsocket = s", "/d/s from /d/coffer.conf:2"),
      ("socket-mode", [], nil, "0660 from default"), ("socket-mode", ["COFFER_SOCKET_MODE=600"], nil, "0600 from COFFER_SOCKET_MODE"),
      ("threads", [], "threads = 3", "3 from /d/coffer.conf:1"), ("allowed-uids", [], nil, "nil from default"),
      ("allowed-uids", [], "allowed-uids = 33 1000", "33, 1000 from /d/coffer.conf:1"), ("cors-origins", [], nil, " from default"),
      ("cors-origin-regex", ["OH_ALLOW_CORS_ORIGIN_REGEX=a.*"], nil, "a.* from OH_ALLOW_CORS_ORIGIN_REGEX"),
      ("web-url", ["OH_WEB_URL=https://w.example"], nil, "https://w.example from OH_WEB_URL"), ("log.format", [], nil, "auto from default"),
      ("log.requests", ["COFFER_LOG_REQUESTS=true"], "log.requests = false", "true from COFFER_LOG_REQUESTS"),
      ("wire-key-file", [], nil, "/d/keys/wire.key from default"),
      ("wire-key-file", ["OH_SECRET_KEY=k"], nil, "/d/keys/wire.key from default"),
      ("wire key", [], nil, "<not set> from default"), ("wire key", ["OH_SECRET_KEY=k"], nil, "<set> from OH_SECRET_KEY"),
      ("wire key", ["SESSION_API_KEY=k"], nil, "<set> from SESSION_API_KEY"),
      ("wire key", ["OH_SECRET_KEY="], nil, "<not set> from default"),
      ("retired wire keys", ["OH_SECRET_KEYS_RETIRED_0=k"], nil, "<set> from OH_SECRET_KEYS_RETIRED_0"),
      (
        "session keys", ["OH_SESSION_API_KEYS_0=k", "OH_SESSION_API_KEYS_1=l"], nil,
        "<set> from OH_SESSION_API_KEYS_0, OH_SESSION_API_KEYS_1"
      ),
    ] as [(String, [String], String?, String)])
  func valuesAndOrigins(name: String, environment: [String], file: String?, expected: String) throws {
    #expect(try row(name, environment: environment, file: file) == expected)
  }

  @Test func everySettingIsShownOnceAndNoKeyIs() throws {
    let canary = "c4n4ry-0123456789abcdef0123456789"
    let configuration = try load(environment: [
      "OH_SECRET_KEY=\(canary)1", "OH_SECRET_KEYS_RETIRED_0=\(canary)2", "OH_SESSION_API_KEYS_0=\(canary)3", "SESSION_API_KEY=\(canary)4",
    ])
    let shown = configuration.shown
    #expect(shown.map(\.name).prefix(SettingName.allCases.count) == SettingName.allCases.map(\.rawValue)[...])
    #expect(shown.count == SettingName.allCases.count + 3)
    #expect(!"\(shown)".contains("c4n4ry"))
  }
}
