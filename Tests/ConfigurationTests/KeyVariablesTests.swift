import SecretMemory
import Testing

@testable import Configuration

struct KeyVariablesTests {
  private func key(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }
  private static let long = "0123456789abcdef0123456789abcdef"

  /// Session keys, and what seals encrypted values: nil stands for the generated key.
  @Test(
    arguments: [
      ([], [], nil),
      (["OH_SECRET_KEY=K"], [], "OH_SECRET_KEY"),
      (["SESSION_API_KEY=S"], ["S"], "SESSION_API_KEY"),
      (["SESSION_API_KEY=S", "OH_SECRET_KEY=K"], ["S"], "OH_SECRET_KEY"),
      (["OH_SESSION_API_KEYS_0=A", "OH_SESSION_API_KEYS_1=B"], ["A", "B"], "OH_SESSION_API_KEYS_0"),
      (["OH_SESSION_API_KEYS_1=B"], [], nil),
      (["SESSION_API_KEY=S", "OH_SESSION_API_KEYS_0=A"], ["A"], "SESSION_API_KEY"),
      (["OH_SESSION_API_KEYS=[\"A\",\"B\"]"], ["A", "B"], nil),
      (["OH_SESSION_API_KEYS=[]", "SESSION_API_KEY=S"], ["S"], "SESSION_API_KEY"),
      (["OH_SESSION_API_KEYS=[\"A\"]", "SESSION_API_KEY=S"], ["A"], "SESSION_API_KEY"),
      (["OH_SECRET_KEY=", "SESSION_API_KEY="], [], nil),
      (["OH_SESSION_API_KEYS_0=", "OH_SESSION_API_KEYS_1=B"], ["B"], nil),
      (["OH_SECRET_KEY=K", "OH_SECRET_KEY=L"], [], "OH_SECRET_KEY"),
      (["OH_SESSION_API_KEYS_00=A", "OH_SESSION_API_KEYS_X=A", "OH_SESSION_API_KEYS_-1=A"], [], nil),
    ] as [([String], [String], String?)])
  func rules(environment: [String], keys: [String], wire: String?) throws {
    let configuration = try load(environment: environment)
    #expect(configuration.sessionKeys == keys.map(key))
    switch configuration.wireKey {
    case .given(let found, let variable):
      #expect(variable == wire)
      let entry = environment.first { $0.hasPrefix(variable + "=") } ?? ""
      #expect(found == key(String(entry.dropFirst(variable.utf8.count + 1))))
    case .file: #expect(wire == nil)
    }
  }

  @Test func retiredKeysKeepTheirOrder() throws {
    let configuration = try load(environment: ["OH_SECRET_KEYS_RETIRED_1=y", "OH_SECRET_KEYS_RETIRED_0=x", "OH_SECRET_KEY=\(Self.long)"])
    #expect(configuration.retiredWireKeys == [key("x"), key("y")])
  }

  @Test(
    arguments: [
      (["OH_SECRET_KEY="], [.emptyKey(variable: "OH_SECRET_KEY")]),
      (["OH_SECRET_KEY=short"], [.shortKey(variable: "OH_SECRET_KEY", bytes: 5, recommended: 22)]),
      (["OH_SECRET_KEY=\(long)"], []),
      (["SESSION_API_KEY=\(long)"], [.sessionKeySealsTokens(variable: "SESSION_API_KEY")]),
      (["OH_SESSION_API_KEYS_0=\(long)"], [.sessionKeySealsTokens(variable: "OH_SESSION_API_KEYS_0")]),
      (["OH_SESSION_API_KEYS=[\"\(long)\",\"\"]"], [.emptyKey(variable: "OH_SESSION_API_KEYS")]),
      (["OH_SESSION_API_KEYS="], [.emptyKey(variable: "OH_SESSION_API_KEYS")]),
      (["OH_SESSION_API_KEYS_1=\(long)"], [.ignored(variable: "OH_SESSION_API_KEYS_1")]),
      (["OH_SECRET_KEY=\(long)", "OH_SECRET_KEYS_RETIRED_0="], [.emptyKey(variable: "OH_SECRET_KEYS_RETIRED_0")]),
    ] as [([String], [ConfigurationWarning])])
  func warnings(environment: [String], expected: [ConfigurationWarning]) throws {
    let warnings = try load(environment: environment).warnings
    #expect(warnings == expected)
    #expect(warnings.allSatisfy { !$0.message.contains(Self.long) && !$0.message.contains("short,") })
  }

  @Test func everySecretVariableIsNamedForScrubbing() throws {
    let configuration = try load(environment: [
      "OH_SECRET_KEY=a", "OH_SECRET_KEYS_RETIRED_0=b", "OH_SECRET_KEYS_RETIRED_7=c", "OH_SESSION_API_KEYS_0=d", "OH_SESSION_API_KEYS=[]",
      "SESSION_API_KEY=", "OH_WEB_URL=https://a.example", "PATH=/bin",
    ])
    #expect(
      configuration.secretVariableNames == [
        "OH_SECRET_KEY", "OH_SECRET_KEYS_RETIRED_0", "OH_SECRET_KEYS_RETIRED_7", "OH_SESSION_API_KEYS", "OH_SESSION_API_KEYS_0",
        "SESSION_API_KEY",
      ])
  }

  @Test func noRenderingShowsAKey() throws {
    let configuration = try load(environment: [
      "OH_SECRET_KEY=c4n4ry-one", "SESSION_API_KEY=c4n4ry-two", "OH_SECRET_KEYS_RETIRED_0=c4n4ry-three",
    ])
    var dumped = ""
    dump(configuration, to: &dumped)
    for text in ["\(configuration)", String(reflecting: configuration), dumped] { #expect(!text.contains("c4n4ry")) }
  }
}

struct OriginPatternTests {
  @Test(arguments: [
    ("https://a[.]example", "https://a.example", true),
    ("https://a[.]example", "https://a.example.evil", false),
    ("https://a[.]example", "evil-https://a.example", false),
    ("https://a[.]example", "https://a.example\n", false),
    ("https://(a|b)[.]example", "https://b.example", true),
    ("a|b", "ab", false),
    ("a|ab", "ab", true),
    ("https://.*\\.example", "https://x.y.example", true),
    ("https://[0-9]{1,3}", "https://12", true),
    ("a", "a\u{0}b", false),
  ])
  func matchesTheWholeText(pattern: String, origin: String, expected: Bool) throws {
    #expect(try #require(OriginPattern(pattern)).matches(origin) == expected)
  }

  @Test(arguments: ["(", "[", "a)|(b", "\\d+", "(a)\\1", "(?:a)", "a\\", "\\w", String(repeating: "a", count: 1025)])
  func refuses(pattern: String) { #expect(OriginPattern(pattern) == nil) }

  @Test func endlessOriginsDoNotMatch() throws {
    #expect(try #require(OriginPattern("a*")).matches(String(repeating: "a", count: 2049)) == false)
  }
}
