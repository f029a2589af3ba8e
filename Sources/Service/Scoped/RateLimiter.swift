package import Model
internal import Threads

/// What a budget came to for one request.
package struct RateVerdict: Sendable, Equatable {
  package let isAllowed: Bool
  package let limit: Int64
  package let remaining: Int64
  /// Seconds until the budget is full again.
  package let reset: Int64
  /// Seconds until the next request fits; 0 when one fits now.
  package let retryAfter: Int64
}

/// Token buckets in memory (scoped spec, section 8): one for each key and class, one for each tenant and class with five times
/// as much, one for each address whose credentials fail.
package final class RateLimiter: Sendable {
  /// Off: figures are told, nothing is refused.
  private let refuses: Bool
  private let buckets = Locked<[BucketName: Bucket]>([:])
  /// More are forgotten all at once: each then starts full.
  private static let maximumBuckets = 100_000
  private static let failures = Rate(perSecond: 10, burst: 10)

  private enum BucketName: Hashable {
    case key(String, RateClass)
    case tenant(String, RateClass)
    case address(String)
  }

  private struct Bucket {
    /// Thousandths of a token.
    var level: Int64
    /// Unix milliseconds.
    var at: Int64

    mutating func refill(_ perThousandSeconds: Int64, _ capacity: Int64, _ now: Int64) {
      // A clock that was set back adds nothing.
      let (gained, overflows) = max(0, now - at).multipliedReportingOverflow(by: perThousandSeconds)
      level = overflows ? capacity : min(capacity, level + gained / 1_000_000)
      at = now
    }
  }

  package init(refuses: Bool) { self.refuses = refuses }

  /// How many buckets are remembered.
  var count: Int { buckets.withLock { $0.count } }

  /// Takes one token of the key's and of the tenant's budget.
  package func take(_ name: RateClass, for caller: AgentCaller, now: Int64) -> RateVerdict {
    let rate = caller.grants.rates[name] ?? name.usual
    return buckets.withLock { buckets in
      if buckets.count > Self.maximumBuckets { buckets = [:] }
      let own = Self.take(.key(caller.keyID, name), rate, &buckets, now)
      guard own.isAllowed || !refuses else { return own }
      let usual = name.usual
      let all = Rate(perSecond: usual.perSecond * 5, burst: usual.burst * 5)
      let shared = Self.take(.tenant(caller.tenant, name), all, &buckets, now)
      guard shared.isAllowed || !refuses else { return shared }
      return RateVerdict(isAllowed: true, limit: own.limit, remaining: own.remaining, reset: own.reset, retryAfter: 0)
    }
  }

  /// The budgets of a key as they are; costs nothing.
  package func look(at caller: AgentCaller, now: Int64) -> [(name: RateClass, verdict: RateVerdict, perSecond: Int64)] {
    RateClass.allCases.map { name in
      let (verdict, rate) = look(at: name, of: caller, now: now)
      return (name, verdict, rate.perSecond)
    }
  }

  /// The budget for reads as it is, for answers that cost nothing.
  package func shown(to caller: AgentCaller, now: Int64) -> RateVerdict {
    let reads = look(at: .reads, of: caller, now: now).verdict
    return RateVerdict(isAllowed: true, limit: reads.limit, remaining: reads.remaining, reset: reads.reset, retryAfter: 0)
  }

  private func look(at name: RateClass, of caller: AgentCaller, now: Int64) -> (verdict: RateVerdict, rate: Rate) {
    let rate = caller.grants.rates[name] ?? name.usual
    let capacity = rate.burst * 1000
    var bucket = buckets.withLock { $0[.key(caller.keyID, name)] } ?? Bucket(level: capacity, at: now)
    bucket.refill(rate.perSecond * 1_000_000, capacity, now)
    return (Self.verdict(bucket, rate, isAllowed: bucket.level >= 1000), rate)
  }

  /// Takes one of the ten failures a minute that an address has; nil when one was left.
  func noteFailure(from address: String, now: Int64) -> RateVerdict? {
    guard refuses else { return nil }
    let verdict = buckets.withLock { buckets in
      if buckets.count > Self.maximumBuckets { buckets = [:] }
      return Self.take(.address(address), Self.failures, &buckets, now, perThousandSeconds: 166_667)
    }
    return verdict.isAllowed ? nil : verdict
  }

  /// The same as a refusal.
  package func refusal(ofFailureFrom address: String, now: Int64) -> Refusal? {
    noteFailure(from: address, now: now).map { Refusal(.rateLimited, retryAfter: Int($0.retryAfter)) }
  }

  private static func take(
    _ key: BucketName, _ rate: Rate, _ buckets: inout [BucketName: Bucket], _ now: Int64, perThousandSeconds: Int64? = nil
  )
    -> RateVerdict
  {
    let capacity = rate.burst * 1000
    func take(from bucket: inout Bucket) -> RateVerdict {
      bucket.refill(perThousandSeconds ?? rate.perSecond * 1_000_000, capacity, now)
      let isAllowed = bucket.level >= 1000
      if isAllowed { bucket.level -= 1000 }
      return verdict(bucket, rate, isAllowed: isAllowed, perThousandSeconds: perThousandSeconds)
    }
    return take(from: &buckets[key, default: Bucket(level: capacity, at: now)])
  }

  private static func verdict(_ bucket: Bucket, _ rate: Rate, isAllowed: Bool, perThousandSeconds: Int64? = nil) -> RateVerdict {
    // Thousandths of a token in a second.
    let speed = max(1, (perThousandSeconds ?? rate.perSecond * 1_000_000) / 1000)
    func seconds(_ missing: Int64) -> Int64 { missing <= 0 ? 0 : (missing + speed - 1) / speed }
    return RateVerdict(
      isAllowed: isAllowed, limit: rate.burst, remaining: bucket.level / 1000, reset: seconds(rate.burst * 1000 - bucket.level),
      retryAfter: isAllowed ? 0 : max(1, seconds(1000 - bucket.level)))
  }
}
