internal import KeyRing
package import Model
internal import Store
internal import StrictJSON
internal import Synchronization

/// Somebody read a canary secret: who, and which one. Never what it holds.
package struct CanaryAlert: Sendable {
  package let tenant: String
  /// `secrets/NAME`, or `scoped_secrets/SCOPE/SCOPEID/ID`.
  package let secret: String
  /// Of a secret of the scoped dialect; empty when all of it was read.
  package let fieldKey: String
  /// What was done, as the audit chain calls it.
  package let action: StaticString
  package let principal: Principal
  package let origin: RequestOrigin
}

/// A canary secret as operators see it.
package struct CanaryView: Sendable {
  package enum Secret: Sendable {
    case custom(name: String)
    case scoped(Scope, id: String, isDeleted: Bool)
  }
  package let secret: Secret
  /// Where its mark is: what tells it from deleted ones of the same id.
  package let mark: String
  /// Since it was marked.
  package let alerts: Int64
  /// Unix milliseconds; nil = never.
  package let lastAlertAt: Int64?
}

/// Where a canary is: its row's place in the audit chain, and the place of the mark there.
///
/// A mark has a place of its own, since it changes neither version nor times of its row: whoever reads the secret must not see
/// it. So verification finds a row that was put back as it was before it was marked.
struct Canary: Sendable {
  static let prefix = "canaries/"

  let tenant: String
  let place: String
  let mark: RowChange

  init(_ row: SecretRow) {
    tenant = row.tenant
    place = RowChange.secret(row.name)
    mark = RowChange(place: Self.prefix + place, state: RowState(incarnation: row.incarnation, version: 1))
  }

  /// Several secrets of one id may lie beside each other, deleted: the mark tells them apart.
  init(_ row: ScopedSecretRow) {
    tenant = row.place.tenant
    place = RowChange.scopedPrefix + ChainState.scopedPlace(row.place.scope, row.place.scopeID, row.secretID)
    let mark = Self.prefix + place + "/" + String(row.incarnation, radix: 16)
    self.mark = RowChange(place: mark, state: RowState(incarnation: 0, version: 1))
  }

  var end: RowChange { RowChange(deleted: mark.place) }
}

extension Service {
  /// Of one tenant. A few are enough to notice somebody.
  static let maximumCanaries = 1000

  /// Tells that a canary was read: the log and the count at once, the audit chain with the next commit. The reader does not
  /// wait for it, so that a canary is not told by its slowness; an exposure's own entry comes behind it in any case.
  func raise(
    _ canary: Canary, _ action: StaticString, field: String = "", by principal: Principal, _ origin: RequestOrigin
  ) {
    canaryAlerts.add(1, ordering: .relaxed)
    options.onCanary(
      CanaryAlert(tenant: canary.tenant, secret: canary.place, fieldKey: field, action: action, principal: principal, origin: origin))
    write(
      { transaction in
        let details = AuditDetails(origin).with("action", text: "\(action)")
        try self.countAlert(of: canary, in: transaction)
        // Without the scope's columns: an agent's history of the secret does not tell of it.
        let event = AuditEvent("canary.alert", in: nil, subject: canary.place, field: field, details: details.text)
        try self.record(event, by: principal.acting(in: canary.tenant), requestID: origin.id, in: transaction)
      }, completion: { _ in })
  }

  private func countAlert(of canary: Canary, in transaction: any StoreTransaction) throws {
    let (tenant, place) = (canary.tenant, canary.mark.place)
    var row =
      try transaction.canaryAlert(tenant: tenant, place: place).map { try vault.verified($0) }
      ?? CanaryAlertRow(tenant: tenant, place: place, alerts: 0, lastAt: 0, mac: [])
    row.alerts += 1
    row.lastAt = max(row.lastAt, now())
    try transaction.put(vault.signed(row))
  }

  /// What was seen of a tenant's canaries, proven. There are a few.
  func canaryAlerts(of tenant: String, in reader: any StoreReading) throws(ServiceError) -> [CanaryAlertRow] {
    let rows: [CanaryAlertRow]
    do { rows = try reader.canaryAlerts(tenant: tenant, after: "", limit: Self.maximumCanaries) } catch { throw ServiceError(error) }
    return try rows.map { row throws(ServiceError) in try vault.verified(row) }
  }

  /// Canaries that were read since the start of this process, counted by reading.
  package var raisedAlerts: UInt64 { canaryAlerts.load(ordering: .relaxed) }
}

extension StructureTransaction {
  /// Marks a custom secret of the settings dialect, or takes the mark away. Marking it anew begins its count at zero.
  package func setCanary(secret name: SecretName, _ isCanary: Bool) throws -> CanaryView {
    guard var row = try store.secret(tenant: tenant, name: name.text) else { throw ScopedFailure(code: .secretNotFound) }
    let keys = try service.vault.keys(tenant: tenant, version: row.kekVersion, in: store)
    try keys.verify(row)
    let canary = Canary(row)
    try change(canary, from: row.isCanary, to: isCanary)
    row.isCanary = isCanary
    row.mac = try keys.mac(of: row)
    try store.put(row)
    return CanaryView(secret: .custom(name: row.name), mark: canary.mark.place, alerts: 0, lastAlertAt: nil)
  }

  /// The same for a live secret of the scoped dialect.
  package func setCanary(_ scope: Scope, _ id: String, _ isCanary: Bool) throws -> CanaryView {
    let place = ScopeKey(tenant: tenant, scope: scope.kind.rawValue, scopeID: scope.id)
    guard var row = try service.liveSecret(place, id, in: store) else { throw ScopedFailure(code: .secretNotFound) }
    let canary = Canary(row)
    try change(canary, from: row.isCanary, to: isCanary)
    row.isCanary = isCanary
    row.mac = try service.vault.keys(tenant: tenant, version: row.kekVersion, in: store).mac(of: row)
    try store.put(row)
    return CanaryView(secret: .scoped(scope, id: id, isDeleted: false), mark: canary.mark.place, alerts: 0, lastAlertAt: nil)
  }

  private func change(_ canary: Canary, from wasCanary: Bool, to isCanary: Bool) throws {
    guard wasCanary || isCanary else { return }
    if isCanary, !wasCanary {
      let limit = Service.maximumCanaries
      let count = try store.canaries(tenant: tenant, limit: limit).count + store.scopedCanaries(tenant: tenant, limit: limit).count
      guard count < limit else { throw ScopedFailure(.quota("canaries", limit: Int64(limit))) }
    }
    try store.forgetCanaryAlerts(tenant: tenant, place: canary.mark.place)
    try record(isCanary ? "canary.mark" : "canary.unmark", canary.place, rows: [isCanary ? canary.mark : canary.end])
  }
}

extension Desk {
  /// Every canary of a tenant: custom secrets first.
  package func canaries(tenant: String) throws(ScopedFailure) -> [CanaryView] {
    try scoped {
      let seen = Dictionary(uniqueKeysWithValues: try service.canaryAlerts(of: tenant, in: reader).map { ($0.place, $0) })
      func view(_ canary: Canary, _ secret: CanaryView.Secret) -> CanaryView {
        let row = seen[canary.mark.place]
        return CanaryView(secret: secret, mark: canary.mark.place, alerts: row?.alerts ?? 0, lastAlertAt: row?.lastAt)
      }
      let custom = try reader.canaries(tenant: tenant, limit: Service.maximumCanaries)
      let scoped = try reader.scopedCanaries(tenant: tenant, limit: Service.maximumCanaries)
      for row in custom { try service.vault.keys(tenant: tenant, version: row.kekVersion, in: reader).verify(row) }
      return custom.map { view(Canary($0), .custom(name: $0.name)) }
        + (try scoped.map { row in
          let row = try service.verified(row, in: reader)
          return view(Canary(row), .scoped(row.scopeValue, id: row.secretID, isDeleted: row.deletedAt != nil))
        })
    }
  }

  /// How many canaries of all tenants were read since they were marked, and when last; Unix milliseconds.
  package func canaryAlerts() throws(ServiceError) -> (secrets: Int64, lastAt: Int64?) {
    var rows: [CanaryAlertRow] = []
    try eachTenant { tenant throws(ServiceError) in rows += try service.canaryAlerts(of: tenant.id, in: reader) }
    return (Int64(rows.count), rows.map(\.lastAt).max())
  }
}
