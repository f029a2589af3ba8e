import Store
import Testing

@testable import Service

/// What a cut says again of the rows, as the chain behind it is read.
@Suite struct ChainStateTests {
  private func entry(
    _ sequence: Int64, _ action: String, scope: String = "", secret: String = "", revision: String = "", details: String = ""
  ) -> AuditRow {
    AuditRow(
      tenant: "t", sequence: sequence, at: "", actorType: "", actorID: "", keyID: "", action: action, scope: scope, scopeID: "s",
      secretID: secret, fieldKey: "", revision: revision, outcome: "allowed", requestID: "", details: details, hash: [], mac: [])
  }

  /// With no other member, with none at all, and with some.
  @Test("rows are found again in the details", arguments: ["", "{}", #"{"sourceIp":"127.0.0.1"}"#])
  func rowsInDetails(details: String) throws {
    let named = RowChange(place: "api_keys/k", state: RowState(incarnation: 3, version: 1))
    let rows = AuditEvent.rows(in: AuditEvent("key.create", details: details, rows: [named]).storedDetails)
    #expect(rows.map(\.place) == ["api_keys/k"] && rows.map(\.state) == [named.state])
  }

  @Test func rowsAndSecretsOfBothDialectsAreCarried() throws {
    var whole = ChainState(tenant: "t", isDefault: false)
    let entries = [
      entry(1, "secret.create", details: #"{"rows":{"secrets/A":[4,1],"settings/current":[5,1]}}"#),
      entry(2, "secret.created", scope: "team", secret: "kept", revision: "1"),
      entry(3, "secret.created", scope: "team", secret: "gone", revision: "1"),
      entry(4, "secret.deleted", scope: "team", secret: "gone", revision: "2"),
      entry(5, "secret.delete", details: #"{"rows":{"secrets/B":null}}"#),
      entry(6, "secret.replaced", scope: "team", secret: "kept", revision: "7"),
      entry(7, "settings.update", details: #"{"rows":{"settings/current":[5,2]}}"#),
      entry(8, "secret.created", scope: "team", secret: "later", revision: "1"),
    ]
    for entry in entries { whole.take(entry) }
    let carried = whole.rows(namedUpTo: 6)
    #expect(carried.map(\.place) == ["scoped_secrets/team/s/kept", "secrets/A"])

    var rest = ChainState(tenant: "t", isDefault: false)
    rest.resume(behind: AuditHead(sequence: 6, hash: []))
    for entry in entries[6...] { rest.take(entry) }
    rest.take(entry(9, "audit.carry", details: AuditEvent("audit.carry", rows: carried).storedDetails))
    #expect(rest.see("secrets/A", RowState(incarnation: 4, version: 1)) == nil)
    #expect(rest.see("secrets/B", RowState(incarnation: 3, version: 1)) == .unknown)
    #expect(rest.see("settings/current", RowState(incarnation: 5, version: 1)) == .notTheNewest)
    #expect(rest.seeScoped("team/s/kept", 7) == nil && rest.seeScoped("team/s/kept", 1) == .notTheNewest)
    #expect(rest.seeScoped("team/s/gone", 1) == .unknown && rest.seeScoped("team/s/later", 1) == nil)
    #expect(rest.unseen.isEmpty && rest.unseenScoped.isEmpty)
    // The next cut says again what this one said.
    #expect(
      rest.rows(namedUpTo: 9).map(\.place) == [
        "scoped_secrets/team/s/kept", "scoped_secrets/team/s/later", "secrets/A", "settings/current",
      ])
  }
}
