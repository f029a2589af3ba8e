internal import Model

/// What one change has taken of its tenant's quotas (scoped spec, section 4.6). Belongs to a transaction, on the writer's thread.
package final class QuotaLedger {
  private var near: [String] = []

  /// Refuses what goes beyond, and notes what reaches four fifths.
  ///
  /// - Parameters:
  ///   - name: as the tenant's settings have it; one that they do not have is of a limit that nobody sets.
  ///   - used: with this change.
  func spend(_ name: StaticString, _ used: Int64, of limit: Int64) throws(ScopedFailure) {
    guard used <= limit else { throw ScopedFailure(.quota(name, limit: limit)) }
    if used * 5 >= limit * 4 { near.append("\(name) \(used)/\(limit)") }
  }

  /// For `X-Quota-Warning`, such as `maxTeams 40/50`; nil while every quota is far.
  package var warning: String? { near.isEmpty ? nil : near.joined(separator: ", ") }
}
