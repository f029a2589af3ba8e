import TestSupport
import Testing

@testable import Model

/// Resolution against a model that asks every pair of candidates (T74).
@Suite struct ResolutionTests {
  struct Candidate: ResolutionCandidate, Equatable {
    let grant: Grant
    let updatedAt: Int64
  }

  /// `left` is stronger than `right`, by the words of the specification's section 3.4.
  private static func beats(_ left: Candidate, _ right: Candidate, recent: Bool) -> Bool {
    let strength: [ScopeKind: Int] = [.agent: 3, .project: 2, .team: 1, .org: 0]
    if left.grant.scope.kind != right.grant.scope.kind { return strength[left.grant.scope.kind]! > strength[right.grant.scope.kind]! }
    if left.grant.priority != right.grant.priority { return left.grant.priority > right.grant.priority }
    return recent && left.updatedAt > right.updatedAt
  }

  private static func random(_ generator: inout SeededGenerator) -> [Candidate] {
    var candidates: [Candidate] = []
    for kind in ScopeKind.allCases {
      let count = kind == .org || kind == .agent ? Int.random(in: 0...1, using: &generator) : Int.random(in: 0...3, using: &generator)
      for number in 0..<count {
        let grant = Grant(
          scope: Scope(kind, "\(kind)\(number)"), name: "n", role: .reader, via: "membership",
          priority: Int64.random(in: 0...1, using: &generator), rights: .all, team: nil)
        candidates.append(Candidate(grant: grant, updatedAt: Int64.random(in: 0...2, using: &generator)))
      }
    }
    return candidates.shuffled(using: &generator)
  }

  @Test func tenThousandTreesAgreeWithTheModel() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    var ambiguous = 0
    for _ in 0..<10_000 {
      let candidates = Self.random(&generator)
      let recent = Bool.random(using: &generator)
      let winners = candidates.filter { one in candidates.allSatisfy { !Self.beats($0, one, recent: recent) } }
      switch Resolution(candidates, prefersRecent: recent) {
      case .none: #expect(candidates.isEmpty, "seed \(seed)")
      case .found(let found, let shadowed):
        #expect(winners == [found], "seed \(seed)")
        #expect(shadowed.count == candidates.count - 1 && !shadowed.contains(found), "seed \(seed)")
        for (stronger, weaker) in zip(shadowed, shadowed.dropFirst()) {
          #expect(!Self.beats(weaker, stronger, recent: recent), "seed \(seed)")
        }
      case .ambiguous(let tied):
        ambiguous += 1
        #expect(winners.count > 1 && Set(tied.map(\.grant.scope)) == Set(winners.map(\.grant.scope)), "seed \(seed)")
      }
    }
    #expect(ambiguous > 500)
  }

  @Test func contextsNarrow() {
    func grant(_ kind: ScopeKind, _ id: String, team: String? = nil) -> Grant {
      Grant(scope: Scope(kind, id), name: id, role: .reader, via: "membership", priority: 0, rights: .all, team: team)
    }
    let grants = [
      grant(.org, "o"), grant(.team, "t1"), grant(.team, "t2"), grant(.project, "p1", team: "t1"), grant(.project, "p2", team: "t2"),
      grant(.agent, "a"),
    ]
    func ids(_ context: ResolutionContext) -> [String]? { context.narrow(grants)?.map(\.scope.id) }
    #expect(ids(.everything) == ["o", "t1", "t2", "p1", "p2", "a"])
    #expect(ids(.project("p1")) == ["o", "t1", "p1", "a"])
    #expect(ids(.team("t2")) == ["o", "t2", "a"])
    #expect(ids(.project("p3")) == nil && ids(.team("p1")) == nil)
  }
}
