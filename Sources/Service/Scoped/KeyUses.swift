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
  /// Notes the time of use, at most once a minute, with the next commit. Nobody waits for it.
  package func noteUse(of caller: AgentCaller) {
    let time = now()
    guard uses.isDue(caller.keyID, now: time) else { return }
    let (tenant, key) = (caller.tenant, caller.keyID)
    store.write({ transaction in try Self.countUse(tenant, key, time, by: 0, in: transaction) }, completion: { _ in })
  }

  /// Counts one use of a token that has a number of them, durable before `completion` is called.
  package func takeUse(of caller: AgentCaller, limit: Int64, completion: @escaping @Sendable (ScopedFailure?) -> Void) {
    let time = now()
    let (tenant, key) = (caller.tenant, caller.keyID)
    scopedWrite(by: caller.principal, RequestOrigin(id: "", address: "")) { transaction in
      let stored = try transaction.keyUse(tenant: tenant, id: key)?.uses ?? 0
      guard stored < limit else { throw ScopedFailure(code: .unauthenticated) }
      try Self.countUse(tenant, key, time, by: 1, in: transaction)
    } completion: { result in
      if case .failure(let failure) = result { completion(failure) } else { completion(nil) }
    }
  }

  private static func countUse(_ tenant: String, _ key: String, _ time: Int64, by difference: Int64, in transaction: any StoreTransaction)
    throws
  {
    var row = try transaction.keyUse(tenant: tenant, id: key) ?? KeyUseRow(tenant: tenant, id: key, lastUsedAt: 0, uses: 0)
    row.lastUsedAt = max(row.lastUsedAt, time)
    row.uses += difference
    try transaction.put(row)
  }
}

extension Desk {
  /// Whether a token has a use left. The use itself is taken by `Service.takeUse`, before the answer is sent.
  package func grantUse(of caller: AgentCaller, limit: Int64) throws(ScopedFailure) {
    let stored = try scoped { try reader.keyUse(tenant: caller.tenant, id: caller.keyID)?.uses ?? 0 }
    guard service.uses.grant(caller.keyID, stored: stored, limit: limit) else { throw ScopedFailure(code: .unauthenticated) }
  }
}
