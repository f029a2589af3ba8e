internal import KeyRing
internal import Store
internal import Synchronization

/// What the background re-wrap of this process has done, and whether there may be more to do.
package final class Rewrapping: Sendable {
  /// At the start an earlier process may have left something.
  private let isAsked = Atomic(true)
  private let rows = Atomic<UInt64>(0)

  init() {}

  /// A tenant has a new KEK version.
  package func ask() { isAsked.store(true, ordering: .releasing) }

  /// Whether a walk is due; the next answer is no, until somebody asks again.
  package func takeRequest() -> Bool { isAsked.exchange(false, ordering: .acquiringAndReleasing) }

  func note(_ count: Int) { rows.add(UInt64(count), ordering: .relaxed) }

  /// Rows that went from one KEK version to another since the start of the process.
  package var rewrappedRows: UInt64 { rows.load(ordering: .relaxed) }
}

/// One walk over everything that a tenant's keys seal or authenticate: what is under an older KEK version goes under the
/// active one (scoped spec, section 6.6). Nothing that a client sees changes but the wrapped form of stored data keys.
///
/// Each small group of rows is a transaction of its own that reads them again, so the walk can be ended anywhere and begun
/// anew: its progress is in the rows.
package struct Rewrapper {
  private static let page = 200
  /// Rows of one transaction, about: a field goes with all its versions.
  private static let group = 32

  private let service: Service
  private let reader: any StoreReader
  private let pause: (Int) -> Bool

  /// - Parameter pause: called with the number of rows just done; waits as long as the rate asks for. False ends the walk.
  package init(_ service: Service, pause: @escaping (Int) -> Bool) throws(ServiceError) {
    self.service = service
    self.pause = pause
    do { reader = try service.store.makeReader() } catch { throw ServiceError(error) }
  }

  /// A thing that goes under the active version as a whole.
  enum Unit: Sendable {
    case document(collection: String, name: String)
    case secret(name: String)
    case scopedSecret(ScopeKey, id: String, incarnation: UInt64)
    /// Every version of the field.
    case field(ScopeKey, id: String, incarnation: UInt64, key: String)
    case dataKey(id: [UInt8])
  }

  /// The end was asked for.
  private struct Ended: Error {}

  /// What a walk came to.
  package struct Outcome: Sendable, Equatable {
    package var rows = 0
    /// Things that do not open or were changed outside Coffer; `verify` names them.
    package var unreadable = 0

    package init(rows: Int = 0, unreadable: Int = 0) {
      self.rows = rows
      self.unreadable = unreadable
    }

    static func + (left: Outcome, right: Outcome) -> Outcome {
      Outcome(rows: left.rows + right.rows, unreadable: left.unreadable + right.unreadable)
    }
  }

  /// Walks over every tenant that has more than one version which opens.
  ///
  /// - Returns: nil when the walk was ended.
  package func run() throws(ServiceError) -> Outcome? {
    defer { Service.dropThreadKeys() }
    do {
      // Whoever asked did so inside a transaction: behind this one it is committed, or undone.
      let service = service
      try service.waited { done in service.write({ _ in }, completion: done) }
      var (after, outcome) = ("", Outcome())
      while true {
        let tenants = try reader.tenants(after: after, limit: 100)
        for tenant in tenants where !tenant.isDeleted {
          do { outcome = try outcome + rewrap(tenant.id) } catch ServiceError.unreadable { outcome.unreadable += 1 }
        }
        guard tenants.count == 100, let last = tenants.last else { return outcome }
        after = last.id
      }
    } catch is Ended { return nil } catch { throw ServiceError(error) }
  }

  private func rewrap(_ tenant: String) throws -> Outcome {
    let active = try service.vault.verifiedTenant(tenant, in: reader).activeKEKVersion
    guard try reader.allKEKs(of: tenant).count(where: { !$0.isDisabled }) > 1 else { return Outcome() }
    let outcome =
      try documents(tenant, active) + secrets(tenant, active) + scopedSecrets(tenant, active) + dataKeys(tenant, active)
    if outcome.rows > 0 {
      let details = "{\"kekVersion\":\(active),\"rows\":\(outcome.rows)}"
      let service = service
      try service.waited { done in
        service.write(
          { transaction in
            try service.record(
              AuditEvent("kek.rewrapped", subject: tenant, details: details), by: .system(of: tenant), requestID: "kek-rewrap",
              in: transaction)
          }, completion: done)
      }
    }
    return outcome
  }

  // MARK: - Walking

  private func documents(_ tenant: String, _ active: UInt32) throws -> Outcome {
    try pages(tenant, { try reader.documents(tenant: tenant, after: ($0?.collection ?? "", $0?.name ?? ""), limit: Self.page) }) {
      $0.kekVersion == active ? [] : [.document(collection: $0.collection, name: $0.name)]
    }
  }

  private func secrets(_ tenant: String, _ active: UInt32) throws -> Outcome {
    try pages(tenant, { try reader.secrets(tenant: tenant, after: $0?.position ?? .min, limit: Self.page) }) {
      $0.kekVersion == active ? [] : [.secret(name: $0.name)]
    }
  }

  private func dataKeys(_ tenant: String, _ active: UInt32) throws -> Outcome {
    try pages(tenant, { try reader.dataKeys(tenant: tenant, after: $0?.id ?? [], limit: Self.page) }) {
      $0.kekVersion == active ? [] : [.dataKey(id: $0.id)]
    }
  }

  private func scopedSecrets(_ tenant: String, _ active: UInt32) throws -> Outcome {
    let first = (secret: ScopeKey(tenant: tenant, scope: "", scopeID: ""), id: "", grave: Int64(0))
    return try pages(
      tenant,
      { (last: (secret: ScopedSecretRow, grave: Int64)?) in
        try reader.allSecrets(
          after: last?.secret.place ?? first.secret, id: last?.secret.secretID ?? first.id, grave: last?.grave ?? first.grave,
          limit: Self.page)
      }
    ) { row in
      let secret = row.secret
      var units: [Unit] = []
      if secret.kekVersion != active {
        units.append(.scopedSecret(secret.place, id: secret.secretID, incarnation: secret.incarnation))
      }
      for field in try reader.fields(tenant: tenant, incarnation: secret.incarnation, withValues: false) {
        let versions = try reader.fieldVersions(tenant: tenant, incarnation: secret.incarnation, key: field.fieldKey, limit: 1000)
        if versions.contains(where: { $0.kekVersion != active }) {
          units.append(.field(secret.place, id: secret.secretID, incarnation: secret.incarnation, key: field.fieldKey))
        }
      }
      return units
    }
  }

  /// Every row of one kind, a page at a time.
  private func pages<Row>(_ tenant: String, _ read: (Row?) throws -> [Row], units: (Row) throws -> [Unit]) throws -> Outcome {
    var (last, outcome): (Row?, Outcome) = (nil, Outcome())
    while true {
      let rows = try read(last)
      var waiting: [Unit] = []
      for row in rows {
        waiting += try units(row)
        if waiting.count >= Self.group {
          outcome = try outcome + rewrap(waiting, tenant)
          waiting = []
        }
      }
      if !waiting.isEmpty { outcome = try outcome + rewrap(waiting, tenant) }
      guard rows.count == Self.page else { return outcome }
      last = rows.last
    }
  }

  /// One transaction; one for each unit when something in it is damaged, so that the rest goes on.
  private func rewrap(_ units: [Unit], _ tenant: String) throws -> Outcome {
    let service = service
    let count: Int
    do throws(ServiceError) {
      count = try service.waited { done in
        service.write({ transaction in try units.reduce(0) { try $0 + service.rewrap($1, tenant, in: transaction) } }, completion: done)
      }
    } catch {
      guard case .unreadable = error else { throw error }
      if units.count == 1 { return Outcome(unreadable: 1) }
      return try units.reduce(Outcome()) { try $0 + rewrap([$1], tenant) }
    }
    service.rewrapping.note(count)
    guard pause(count) else { throw Ended() }
    return Outcome(rows: count)
  }
}
