import StrictJSON
import TestSupport
import Testing

@testable import Model

@Suite struct ScopedNamesTests {
  @Test(arguments: [
    ("a", true), ("acme-api", true), ("9.x_Y-z", true), (String(repeating: "a", count: 128), true), ("", false), ("-a", false),
    (".a", false), ("a b", false), ("a/b", false), ("ä", false), ("a\n", false), (String(repeating: "a", count: 129), false),
  ])
  func secretIDs(_ text: String, _ isValid: Bool) { #expect(ScopedNames.isSecretID(text) == isValid) }

  @Test(arguments: [
    ("token", true), ("_x", true), ("a.b-c_9", true), (String(repeating: "a", count: 64), true), ("", false), ("9a", false),
    ("-a", false), ("a b", false), (String(repeating: "a", count: 65), false),
  ])
  func fieldKeys(_ text: String, _ isValid: Bool) { #expect(ScopedNames.isFieldKey(text) == isValid) }

  @Test(arguments: [
    ("other", true), ("api_key", true), ("a1", true), (String(repeating: "a", count: 32), true), ("", false), ("1a", false),
    ("_a", false), ("Api", false), (String(repeating: "a", count: 33), false),
  ])
  func categories(_ text: String, _ isValid: Bool) { #expect(ScopedNames.isCategory(text) == isValid) }

  @Test(arguments: [
    ("Acme API", "Acme API"), (" \u{2003}padded\u{a0}", "padded"), ("e\u{301}", "\u{e9}"),
    (String(repeating: "é", count: 200), String(repeating: "é", count: 200)),
    ("", nil), ("  ", nil), ("a\u{0}b", nil), ("a\nb", nil), ("a\n", nil), ("\ta", nil), ("a\u{85}", nil),
    (String(repeating: "é", count: 201), nil),
  ])
  func titles(_ text: String, _ expected: String?) {
    let found = ScopedNames.title(text)
    #expect(found.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
  }

  @Test func tagsKeepTheirOrderOnce() {
    #expect(ScopedNames.tags(["b", "a", "b"]) == ["b", "a"])
    #expect(ScopedNames.tags(["team:x/y=z@w.v-u_t", "größe 9"]) != nil)
    for bad in ["", "a,b", "a\n", "a#b", String(repeating: "a", count: 65)] { #expect(ScopedNames.tags([bad]) == nil) }
    #expect(ScopedNames.tags((0..<32).map(String.init)) != nil)
    #expect(ScopedNames.tags((0..<33).map(String.init)) == nil)
    #expect([String](jsonText: ["a", "\"\\"].jsonText) == ["a", "\"\\"])
    #expect([String](jsonText: "[1]") == nil)
  }

  @Test func everyCodeHasATextAndAStatusOfItsTable() {
    for code in ErrorCode.allCases {
      #expect((400...503).contains(code.status))
      #expect("\(code.message)".hasSuffix(".") || code == .unauthenticated)
    }
    #expect(ErrorCode.allCases.count == 44)
  }
}

@Suite struct RightsTests {
  @Test func rolesAreTheTableOfTheSpecification() {
    let table: [(Role, [String])] = [
      (.observer, ["list", "history"]), (.reader, ["list", "read", "decrypt", "history"]), (.depositor, ["list", "write"]),
      (.writer, ["list", "read", "decrypt", "write", "history"]), (.manager, ["list", "read", "decrypt", "write", "delete", "history"]),
    ]
    #expect(table.count == Role.allCases.count)
    for (role, names) in table { #expect(role.capabilities.names == names.map { "secrets:" + $0 }) }
    #expect(Capabilities(names: ["secrets:list", "secrets:other"]) == nil)
    #expect(Capabilities(names: []) == [])
  }

  private func access(_ memberships: [AccessFacts.Membership], _ capabilities: Capabilities = .all, scopes: [Scope]? = nil) -> Access {
    Access(
      AccessFacts(
        tenant: ("ten", "Acme"), agent: ("agt", "bot"), orgRole: .reader, memberships: memberships, capabilities: capabilities,
        scopes: scopes))
  }

  private func project(_ id: String, _ role: Role, team: String? = nil, priority: Int64 = 0) -> AccessFacts.Membership {
    AccessFacts.Membership(
      scope: Scope(.project, id), name: "P " + id, team: team.map { ($0, "T " + $0) }, role: role, priority: priority)
  }

  @Test func aProjectReachesItsTeamToReadOnly() {
    for role in Role.allCases {
      let team = access([project("p", role, team: "t")]).grant(on: Scope(.team, "t"))
      #expect(team?.rights == Role.reader.capabilities.intersection(role.capabilities))
      #expect(team?.via == "project:p")
    }
    let both = access([
      project("p", .manager, team: "t", priority: 9),
      AccessFacts.Membership(scope: Scope(.team, "t"), name: "T t", team: nil, role: .depositor, priority: 1),
    ]).grant(on: Scope(.team, "t"))
    #expect(both?.rights == [.list, .write, .read, .decrypt, .history])
    #expect(both?.priority == 1)
    let higher = access([project("a", .reader, team: "t", priority: 1), project("b", .reader, team: "t", priority: 5)])
    #expect(higher.grant(on: Scope(.team, "t"))?.priority == 5)
  }

  @Test func aTeamReachesNoneOfItsProjects() {
    let found = access([AccessFacts.Membership(scope: Scope(.team, "t"), name: "T", team: nil, role: .manager, priority: 0)])
    #expect(found.grants.map(\.scope) == [Scope(.org, "ten"), Scope(.team, "t"), Scope(.agent, "agt")])
  }

  @Test func keysOnlyTakeAway() {
    let narrow = access([project("p", .manager)], [.list, .read], scopes: [Scope(.project, "p"), Scope(.org, "other")])
    #expect(narrow.grants.map(\.scope) == [Scope(.project, "p")])
    #expect(narrow.rights(on: Scope(.project, "p")) == [.list, .read])
    #expect(narrow.rights(on: Scope(.agent, "agt")) == [])
  }

  @Test func grantsSurviveTheirStoredForm() throws {
    let limits = JSONLimits.scoped
    let text =
      #"{"capabilities":["secrets:list"],"scopes":[{"scope":"team","scopeId":"t"}],"secretIds":["a"],"cidrs":["192.0.2.0/24"],"rateLimit":{"reads":{"perSecond":1,"burst":2}}}"#
    let object = try #require(try JSONValue.parse(Array(text.utf8), limits: limits).object)
    let grants = try KeyGrants(object)
    #expect(KeyGrants(stored: grants.stored) == grants)
    #expect(KeyGrants(stored: KeyGrants().stored) == KeyGrants())
    for bad in [
      #"{"capabilities":["x"]}"#, #"{"capabilities":"secrets:list"}"#, #"{"scopes":[{"scope":"team"}]}"#, #"{"secretIds":["-"]}"#,
      #"{"cidrs":["192.0.2.0/33"]}"#, #"{"rateLimit":{"reads":{"perSecond":0,"burst":1}}}"#,
    ] {
      let object = try #require(try JSONValue.parse(Array(bad.utf8), limits: limits).object)
      #expect(throws: Refusal.self) { try KeyGrants(object) }
    }
  }

  @Test(arguments: [
    ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.7", "192.0.2.7", true),
    ("0.0.0.0/0", "203.0.113.9", true), ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("2001:db8::/32", "2001:db8:1::5", true),
    ("2001:db8::/32", "2001:db9::1", false), ("::1", "::1", true), ("::/0", "192.0.2.1", false), ("192.0.2.0/24", "", false),
  ])
  func networks(_ network: String, _ address: String, _ isInside: Bool) throws {
    #expect(try #require(Network(network)).contains(address) == isInside)
  }

  @Test(arguments: ["", "x", "192.0.2", "192.0.2.256", "192.0.2.0/", "192.0.2.0/-1", "1::2::3", "12345::", "::1/129", "192.0.2.0/24/1"])
  func noNetworks(_ text: String) { #expect(Network(text) == nil) }
}

@Suite struct TenantSettingsTests {
  private func object(_ text: String) throws -> JSONObject {
    try #require(try JSONValue.parse(Array(text.utf8), limits: .scoped).object)
  }

  @Test func onlyDifferencesAreStored() throws {
    var settings = TenantSettings()
    #expect(settings.stored.isEmpty)
    try settings.apply(object(#"{"retainVersions":0,"plaintextPolicy":"deny","orgDefaultRole":"none","requireIfMatch":true}"#))
    #expect(settings.stored == #"{"plaintextPolicy":"deny","orgDefaultRole":"none","requireIfMatch":true,"retainVersions":0}"#)
    #expect(TenantSettings(stored: settings.stored) == settings)
    try settings.apply(object(#"{"retainVersions":null,"plaintextPolicy":null,"orgDefaultRole":null,"requireIfMatch":null}"#))
    #expect(settings == TenantSettings())
    #expect(TenantSettings(stored: "{") == nil)
  }

  @Test(arguments: [
    #"{"retainVersions":51}"#, #"{"retainVersions":true}"#, #"{"retainVersions":1.0}"#, #"{"retainVersions":"1"}"#,
    #"{"dataKeyTtlSeconds":59}"#, #"{"dataKeyTtlSeconds":86401}"#, #"{"deletionWindowDays":91}"#, #"{"plaintextPolicy":"maybe"}"#,
    #"{"orgDefaultRole":"owner"}"#, #"{"requireIfMatch":1}"#, #"{"unknown":1}"#, #"{"unknown":null}"#,
  ])
  func refusals(_ text: String) throws {
    let changes = try object(text)
    #expect(throws: Refusal.self) {
      var settings = TenantSettings()
      try settings.apply(changes)
    }
  }
}

@Suite struct TimeReadingTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("2026-07-01T12:00:00.000Z", 1_782_907_200_000_000), ("2024-02-29t23:59:59.5z", 1_709_251_199_500_000),
    ("1969-12-31T23:59:59.999Z", -1000),
    ("1970-01-01T02:00:00+02:00", 0), ("1969-12-31T18:30:00.5-05:30", 500_000), ("2000-03-01T00:00:00.1234567Z", 951_868_800_123_456),
  ])
  func times(_ text: String, _ microseconds: Int64) { #expect(UTCTime(text)?.unixMicroseconds == microseconds) }

  @Test func whatIsWrittenIsRead() {
    for milliseconds in stride(from: Int64(-60_000_000_000_000), to: 60_000_000_000_000, by: 777_777_777_777) {
      let time = UTCTime(unixMicroseconds: milliseconds * 1000)
      if milliseconds > -60_000_000_000_000 { #expect(UTCTime(time.text) == time) }
    }
  }

  @Test(arguments: [
    "", "2026-07-01", "2026-07-01T12:00:00", "2026-07-01T12:00:00+0000", "2026-07-01T12:00:00+24:00", "2026-07-01T12:00:00.5+00:0",
    "2026-07-01T12:00:00.5", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
    "2026-07-01T24:00:00Z", "2026-07-01T12:00:00.Z", "2026-07-01T12:00:00.x1Z", "2026-07-01 12:00:00Z",
  ])
  func noTimes(_ text: String) { #expect(UTCTime(text) == nil) }
}
