package import Model
internal import Store
package import StrictJSON

/// A secret as resolution sees it, before anything of it is opened.
package struct EffectiveCandidate: ResolutionCandidate {
  package let grant: Grant
  package let updatedAt: Int64
  let row: ScopedSecretRow
}

/// A secret with where it came from and what it hides.
package struct EffectiveSecret: Sendable {
  package let view: SecretView
  package let from: Grant
  package let shadowed: [EffectiveCandidate]
}

/// A row of the effective list.
package enum EffectiveEntry: Sendable {
  case secret(EffectiveSecret)
  case ambiguous(id: String, [EffectiveCandidate])

  package var id: String {
    switch self {
    case .secret(let secret): secret.view.id
    case .ambiguous(let id, _): id
    }
  }
}

/// Where and how an effective read looks.
package struct EffectiveQuestion: Sendable {
  package var context = ResolutionContext.everything
  package var prefersRecent = false
  package init() {}
}

extension Desk {
  /// The one secret of an id that counts for the caller. `ambiguous_scope` when none does.
  package func resolve(_ id: String, _ question: EffectiveQuestion, for caller: AgentCaller, _ origin: RequestOrigin) throws(ScopedFailure)
    -> (from: Grant, shadowed: [EffectiveCandidate])
  {
    try scoped {
      let candidates = try grants(question, .read, caller, origin).compactMap { grant in
        try reader.scopedSecret(caller.place(grant.scope), id: id).map { row in
          EffectiveCandidate(grant: grant, updatedAt: row.updatedAt, row: try service.verified(row, in: reader))
        }
      }
      guard caller.reaches(id) else { throw ScopedFailure(code: .secretNotFound) }
      switch Resolution(candidates, prefersRecent: question.prefersRecent) {
      case .none: throw ScopedFailure(code: .secretNotFound)
      case .found(let found, let shadowed): return (found.grant, shadowed)
      case .ambiguous(let tied):
        throw ScopedFailure(
          Refusal(.ambiguousScope, details: JSONObject(uniqueMembers: [.init(name: "candidates", value: .array(tied.map(\.json)))])))
      }
    }
  }

  /// Every secret the caller could resolve, in order of id, without values.
  package func effectiveSecrets(_ question: EffectiveQuestion, _ filter: SecretFilter, for caller: AgentCaller, _ origin: RequestOrigin)
    throws(ScopedFailure) -> [EffectiveEntry]
  {
    try scoped {
      var candidates: [String: [EffectiveCandidate]] = [:]
      for grant in try grants(question, .list, caller, origin) {
        var last = ""
        while true {
          let rows = try reader.scopedSecrets(caller.place(grant.scope), after: last, limit: 500)
          for row in rows where caller.reaches(row.secretID) {
            let candidate = EffectiveCandidate(grant: grant, updatedAt: row.updatedAt, row: try service.verified(row, in: reader))
            candidates[row.secretID, default: []].append(candidate)
          }
          guard rows.count == 500, let end = rows.last else { break }
          last = end.secretID
        }
      }
      return try candidates.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.compactMap { id in
        try entry(id, candidates[id] ?? [], question, filter)
      }
    }
  }

  private func entry(_ id: String, _ candidates: [EffectiveCandidate], _ question: EffectiveQuestion, _ filter: SecretFilter) throws
    -> EffectiveEntry?
  {
    switch Resolution(candidates, prefersRecent: question.prefersRecent) {
    case .none: return nil
    case .ambiguous(let tied): return tied.contains { filter.admits($0.row) } ? .ambiguous(id: id, tied) : nil
    case .found(let found, let shadowed):
      guard filter.admits(found.row) else { return nil }
      let view = try service.view(found.row, in: reader)
      return filter.admits(view) ? .secret(EffectiveSecret(view: view, from: found.grant, shadowed: shadowed)) : nil
    }
  }

  /// The scopes that take part; a context that is none of the caller's is a forbidden scope.
  private func grants(_ question: EffectiveQuestion, _ capability: Capabilities, _ caller: AgentCaller, _ origin: RequestOrigin)
    throws(ScopedFailure) -> [Grant]
  {
    if let narrowed = question.context.narrow(caller.access.grants) { return narrowed.filter { $0.rights.isSuperset(of: capability) } }
    let scope: Scope =
      switch question.context {
      case .everything: Scope(.org, caller.tenant)
      case .project(let id): Scope(.project, id)
      case .team(let id): Scope(.team, id)
      }
    try caller.demand(ScopedAction("secrets.resolved", needs: capability, on: scope), origin)
    return []
  }
}

extension EffectiveCandidate {
  /// As answers name it: no values.
  package var json: JSONValue {
    [
      "scope": .string(JSONString(grant.scope.kind.rawValue)), "scopeId": .string(JSONString(grant.scope.id)),
      "name": .string(JSONString(grant.name)), "updatedAt": .string(JSONString(UTCTime(unixMicroseconds: updatedAt * 1000).text)),
    ]
  }
}
