import Model
import TestSupport
import Testing

@testable import Service
@testable import Store

/// What requests see that read the audit chain and other rows.
struct SnapshotTests {
  private static let place = (scope: Scope(.agent, "a"), secret: "s")

  /// A turn keeps its snapshot over exposures. Entries of a newer one would tell of versions that the older rows do not have.
  @Test("history and versions of a secret", arguments: [true, false]) func entriesAndRowsAreOfOneSnapshot(history: Bool) throws {
    let bench = try Bench()
    let desk = try Desk(bench.service)
    let (tenant, scope, secret) = (bench.tenant, Self.place.scope, Self.place.secret)
    try bench.tamper { transaction in
      try transaction.put(
        ScopedSecretRow(
          place: ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id), secretID: secret, incarnation: 1, name: "",
          category: "", tags: "[]", revision: 1, kekVersion: 1, createdAt: 1, updatedAt: 1, createdBy: "", updatedBy: "", deletedAt: nil,
          purgeAfter: nil, mac: []))
    }
    func code() -> ErrorCode? {
      let action = ScopedAction("secret.history", needs: .all, on: scope, secret: secret, field: "f")
      do throws(ScopedFailure) {
        if history {
          _ = try desk.history(action, HistoryFilter(), before: .max, limit: 1, for: AgentCaller(key: "k", tenant: tenant))
        } else {
          _ = try desk.versions(action, for: AgentCaller(key: "k", tenant: tenant))
        }
        return nil
      } catch { return error.refusal.code }
    }
    desk.requestBegins()
    defer { desk.turnEnds() }
    // It is there, and no key has proven it.
    #expect(code() == .unavailable)
    let other = try SQLiteConnection(path: bench.directory.path + "/store/" + StoreFile.name, role: .writer)
    try other.executeScript("DELETE FROM scoped_secrets")
    let exposure = Waiter<Void>()
    bench.service.record(AuditEvent("secret.read", subject: "x"), by: bench.principal, requestID: "r") {
      exposure.give($0.mapError { $0 })
    }
    try exposure.take()
    desk.requestBegins()
    #expect(code() == .secretNotFound)
  }
}
