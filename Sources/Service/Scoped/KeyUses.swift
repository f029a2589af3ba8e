internal import Model
internal import Store
internal import Threads

/// When keys were used last, and how often those that may be used a number of times only.
final class KeyUses: Sendable {
  /// The minute of the last note of each key.
  private let minutes = Locked<[String: Int64]>([:])
  /// Uses that were granted and may not be in the store yet.
  private let granted = Locked<[String: Int64]>([:])
  private static let maximumKeys = 100_000

  /// True once a minute for each key.
  func isDue(_ key: String, now: Int64) -> Bool {
    minutes.withLock { minutes in
      if minutes.count > Self.maximumKeys { minutes = [:] }
      guard minutes[key] != now / 60_000 else { return false }
      minutes[key] = now / 60_000
      return true
    }
  }

  /// Grants one more use when that leaves the number within `limit`.
  ///
  /// - Parameter stored: the uses that the store knows of.
  func grant(_ key: String, stored: Int64, limit: Int64) -> Bool {
    granted.withLock { granted in
      let used = max(granted[key] ?? 0, stored)
      guard used < limit else { return false }
      granted[key] = used + 1
      return true
    }
  }
}

extension Service {
  /// Notes the time of use, at most once a minute, with the next commit. Nobody waits for it. Of a key whose uses are numbered each
  /// use is noted as it is taken: here its row would be made anew if somebody had removed it.
  package func noteUse(of caller: AgentCaller) {
    let time = now()
    guard caller.maxUses == nil, uses.isDue(caller.keyID, now: time) else { return }
    let (tenant, key) = (caller.tenant, caller.keyID)
    store.write({ transaction in try self.countUse(tenant, key, time, by: 0, in: transaction) }, completion: { _ in })
  }

  /// Counts one use of a token that has a number of them, durable before `completion` is called.
  package func takeUse(of caller: AgentCaller, limit: Int64, completion: @escaping @Sendable (ScopedFailure?) -> Void) {
    let time = now()
    let (tenant, key) = (caller.tenant, caller.keyID)
    scopedWrite(by: caller.principal, RequestOrigin(id: "", address: "")) { transaction in
      guard let stored = try self.use(of: key, tenant, in: transaction), stored.uses < limit else {
        throw ScopedFailure(code: .unauthenticated)
      }
      try self.countUse(tenant, key, time, by: 1, in: transaction)
    } completion: { result in
      if case .failure(let failure) = result { completion(failure) } else { completion(nil) }
    }
  }

  /// Of a key that may be used a number of times only: no use is taken yet.
  func beginUses(of key: String, _ tenant: String, in transaction: any StoreTransaction) throws {
    try transaction.put(vault.signed(KeyUseRow(tenant: tenant, id: key, lastUsedAt: 0, uses: 0, mac: [])))
  }

  /// nil when there is no row.
  func use(of key: String, _ tenant: String, in reading: any StoreReading) throws -> KeyUseRow? {
    try reading.keyUse(tenant: tenant, id: key).map { try vault.verified($0) }
  }

  private func countUse(_ tenant: String, _ key: String, _ time: Int64, by difference: Int64, in transaction: any StoreTransaction) throws {
    var row = try use(of: key, tenant, in: transaction) ?? KeyUseRow(tenant: tenant, id: key, lastUsedAt: 0, uses: 0, mac: [])
    row.lastUsedAt = max(row.lastUsedAt, time)
    row.uses += difference
    try transaction.put(vault.signed(row))
  }
}

extension Desk {
  /// Whether a token has a use left. The use itself is taken by `Service.takeUse`, before the answer is sent.
  package func grantUse(of caller: AgentCaller, limit: Int64) throws(ScopedFailure) {
    let stored = try scoped { try service.use(of: caller.keyID, caller.tenant, in: reader) }
    guard let stored, service.uses.grant(caller.keyID, stored: stored.uses, limit: limit) else {
      throw ScopedFailure(code: .unauthenticated)
    }
  }
}
