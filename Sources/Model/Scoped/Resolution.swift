/// Which of several secrets of one id an agent uses (scoped spec, section 3.4): a pure function of where it may read.
package enum Resolution<Candidate: Sendable>: Sendable {
  case none
  /// The one that counts, and those it hides, strongest first.
  case found(Candidate, shadowed: [Candidate])
  /// Several scopes of the strongest level, none before the others.
  case ambiguous([Candidate])
}

/// What resolution knows of a candidate.
package protocol ResolutionCandidate: Sendable {
  var grant: Grant { get }
  /// Unix milliseconds.
  var updatedAt: Int64 { get }
}

/// The part of the scopes that a question concerns.
package enum ResolutionContext: Sendable, Equatable {
  case everything
  /// This project, the team it sits in, the agent, the org.
  case project(String)
  /// This team, the agent, the org; no projects.
  case team(String)

  /// The grants that take part; nil when the context is none of the caller's.
  package func narrow(_ grants: [Grant]) -> [Grant]? {
    switch self {
    case .everything: return grants
    case .project(let id):
      guard let project = grants.first(where: { $0.scope == Scope(.project, id) }) else { return nil }
      return grants.filter { grant in
        switch grant.scope.kind {
        case .org, .agent: true
        case .project: grant.scope.id == id
        case .team: grant.scope.id == project.team
        }
      }
    case .team(let id):
      guard grants.contains(where: { $0.scope == Scope(.team, id) }) else { return nil }
      return grants.filter { grant in
        switch grant.scope.kind {
        case .org, .agent: true
        case .project: false
        case .team: grant.scope.id == id
        }
      }
    }
  }
}

extension Resolution where Candidate: ResolutionCandidate {
  /// The strongest level wins; within it the higher priority, then with `prefersRecent` the newest. Ids settle what is
  /// left only among the hidden ones.
  package init(_ candidates: [Candidate], prefersRecent: Bool = false) {
    let ordered = candidates.sorted { Self.precedes($0, $1, prefersRecent) }
    guard let first = ordered.first else {
      self = .none
      return
    }
    let equals = ordered.prefix { Self.rank($0, prefersRecent) == Self.rank(first, prefersRecent) }
    self = equals.count > 1 ? .ambiguous(Array(equals)) : .found(first, shadowed: Array(ordered.dropFirst()))
  }

  private static func precedes(_ left: Candidate, _ right: Candidate, _ prefersRecent: Bool) -> Bool {
    let (a, b) = (rank(left, prefersRecent), rank(right, prefersRecent))
    return a == b ? left.grant.scope.id < right.grant.scope.id : a.precedes(b)
  }

  private static func rank(_ candidate: Candidate, _ prefersRecent: Bool) -> Rank {
    // With `tie=recent` the time decides where priorities are equal.
    Rank(
      level: ScopeKind.allCases.firstIndex(of: candidate.grant.scope.kind) ?? 0, priority: candidate.grant.priority,
      time: prefersRecent ? candidate.updatedAt : 0)
  }
}

private struct Rank: Equatable {
  let level: Int
  let priority: Int64
  let time: Int64

  func precedes(_ other: Rank) -> Bool { (level, other.priority, other.time) < (other.level, priority, time) }
}
