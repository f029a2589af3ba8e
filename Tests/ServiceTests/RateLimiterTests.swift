import KeyRing
import Model
import Store
import Testing

@testable import Service

extension AgentCaller {
  /// The agent `a` with a key that narrows nothing.
  convenience init(key: String, tenant: String = "t", rates: [RateClass: Rate] = [:]) {
    var grants = KeyGrants()
    grants.rates = rates
    let facts = AccessFacts(
      tenant: (tenant, "n"), agent: ("a", "n"), orgRole: nil, memberships: [], capabilities: .all, scopes: nil)
    self.init(
      principal: Principal(tenant: tenant, actor: .agent, actorID: "a", keyID: "key_" + key, level: .masked), agentName: "n",
      tenantName: "n", keyID: key, grants: grants, access: Access(facts), settings: TenantSettings(), expiresAt: nil, isRetiring: false,
      isChild: false, maxUses: nil, networks: [], validUntil: nil)
  }
}

@Suite struct RateLimiterTests {
  @Test func aBucketFillsAgain() {
    let limiter = RateLimiter(refuses: true)
    let one = AgentCaller(key: "k", rates: [.reads: Rate(perSecond: 2, burst: 3)])
    #expect((0..<4).map { _ in limiter.take(.reads, for: one, now: 1_000).isAllowed } == [true, true, true, false])
    let refused = limiter.take(.reads, for: one, now: 1_000)
    #expect(refused == RateVerdict(isAllowed: false, limit: 3, remaining: 0, reset: 2, retryAfter: 1))
    #expect(!limiter.take(.reads, for: one, now: 1_400).isAllowed)
    #expect(limiter.take(.reads, for: one, now: 1_500).isAllowed)
    // A clock that goes back gives nothing; one that leaps fills no more than the bucket.
    #expect(!limiter.take(.reads, for: one, now: 0).isAllowed)
    #expect(limiter.take(.reads, for: one, now: .max / 2).remaining == 2)
    #expect(limiter.look(at: one, now: .max / 2).first { $0.name == .reads }?.verdict.remaining == 2)
  }

  @Test func theHighestRateCountsWithoutOverflow() {
    let limiter = RateLimiter(refuses: true)
    let one = AgentCaller(key: "k", rates: [.writes: Rate(perSecond: 1_000_000, burst: 1_000_000)])
    #expect(limiter.take(.writes, for: one, now: 0).remaining == 999_999)
    #expect(limiter.take(.writes, for: one, now: .max).remaining == 999_999)
  }

  @Test func oneKeyLeavesTheOthersTheirs() {
    let limiter = RateLimiter(refuses: true)
    for _ in 0..<60 { _ = limiter.take(.lists, for: AgentCaller(key: "k"), now: 0) }
    #expect(!limiter.take(.lists, for: AgentCaller(key: "k"), now: 0).isAllowed)
    #expect(limiter.take(.lists, for: AgentCaller(key: "l"), now: 0).isAllowed)
    #expect(limiter.take(.reads, for: AgentCaller(key: "k"), now: 0).isAllowed)
    // Five keys use up what the tenant has; another tenant has its own.
    for key in 0..<6 { for _ in 0..<50 { _ = limiter.take(.dataKeys, for: AgentCaller(key: "x\(key)"), now: 0) } }
    for key in 0..<6 { for _ in 0..<50 { _ = limiter.take(.dataKeys, for: AgentCaller(key: "y\(key)"), now: 0) } }
    #expect(!limiter.take(.dataKeys, for: AgentCaller(key: "z"), now: 0).isAllowed)
    #expect(limiter.take(.dataKeys, for: AgentCaller(key: "z", tenant: "u"), now: 0).isAllowed)
  }

  @Test func failuresOfAnAddress() {
    let limiter = RateLimiter(refuses: true)
    #expect(
      (0..<12).map { _ in limiter.noteFailure(from: "192.0.2.1", now: 0) == nil } == Array(repeating: true, count: 10) + [false, false])
    #expect(limiter.noteFailure(from: "192.0.2.2", now: 0) == nil)
    #expect(limiter.noteFailure(from: "192.0.2.1", now: 6_001) == nil)
    #expect((0..<50).allSatisfy { _ in RateLimiter(refuses: false).noteFailure(from: "a", now: 0) == nil })
  }

  /// T75: an attacker may have many addresses; what is remembered of them has an end, and nobody else is kept out.
  @Test func aMillionAddressesTakeBoundedMemory() {
    let limiter = RateLimiter(refuses: true)
    var most = 0
    for address in 0..<1_000_000 {
      if limiter.noteFailure(from: "2001:db8::\(address)", now: 0) != nil { Issue.record("\(address) failed once and is refused") }
      if address.isMultiple(of: 10_000) { most = max(most, limiter.count) }
    }
    #expect(most > 10_000 && most <= 100_001)
    #expect(limiter.take(.reads, for: AgentCaller(key: "k"), now: 0).isAllowed)
    print("T75 reached: 1000000 addresses, at most \(most) remembered")
  }

  @Test func withoutRefusalsTheFiguresAreTold() {
    let limiter = RateLimiter(refuses: false)
    let verdicts = (0..<60).map { _ in limiter.take(.writes, for: AgentCaller(key: "k"), now: 0) }
    #expect(verdicts.last?.remaining == 0 && verdicts.first?.remaining == 49)
  }
}
