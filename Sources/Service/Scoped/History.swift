internal import Ciphers
internal import Model
internal import Store
package import StrictJSON

/// Which entries of a secret's history are wanted.
package struct HistoryFilter: Sendable {
  package var action: String?
  package var fieldKey: String?
  /// RFC 3339 with milliseconds: compared as text.
  package var since: String?
  package var until: String?
  package init() {}

  func admits(_ row: AuditRow) -> Bool {
    if let action, row.action != action { return false }
    if let fieldKey, row.fieldKey != fieldKey { return false }
    if let since, row.at < since { return false }
    if let until, row.at > until { return false }
    return true
  }
}

/// One entry of a secret's history: metadata only.
package struct HistoryEntry: Sendable {
  package let row: (sequence: Int64, at: String, action: String, outcome: String, requestID: String)
  package let actor: (type: String, id: String, name: String, keyID: String)
  package let fieldKey: String
  package let revision: String
  package let details: JSONObject
  /// `aud_` and 26 characters, from the entry's hash.
  package let id: String
}

extension Desk {
  /// The history of a secret, newest first, before the given sequence.
  ///
  /// - Parameter limit: nil = all.
  /// - Returns: the entries, and whether there are more.
  package func history(_ action: ScopedAction, _ filter: HistoryFilter, before sequence: Int64, limit: Int?, for caller: AgentCaller)
    throws(ScopedFailure) -> (entries: [HistoryEntry], hasMore: Bool)
  {
    readsEntries()
    return try scoped {
      let place = caller.place(action.scope)
      guard try service.liveSecret(place, action.secretID, in: reader) != nil else { throw ScopedFailure(code: .secretNotFound) }
      var entries: [HistoryEntry] = []
      var names: [String: String] = [:]
      var hasMore = false
      try walk(place, action.secretID, before: sequence, page: 500) { row in
        guard filter.admits(row) else { return true }
        hasMore = limit == entries.count
        if !hasMore { entries.append(try entry(row, &names)) }
        return !hasMore
      }
      return (entries, hasMore)
    }
  }

  /// The entries about a secret, newest first, as long as `visit` asks for more.
  func walk(_ place: ScopeKey, _ secret: String, before sequence: Int64, page: Int, _ visit: (AuditRow) throws -> Bool) throws {
    var last = sequence
    while true {
      let rows = try reader.auditEntries(place, secret: secret, before: last, limit: page)
      for row in rows {
        last = row.sequence
        guard try visit(row) else { return }
      }
      if rows.count < page { return }
    }
  }

  /// Entries have an operator's key without the prefix that keys have everywhere else in this dialect.
  private static func shown(keyID: String) -> String { keyID.isEmpty || keyID.hasPrefix("key_") ? keyID : "key_" + keyID }

  private func entry(_ row: AuditRow, _ names: inout [String: String]) throws -> HistoryEntry {
    if names[row.actorID] == nil, !row.actorID.isEmpty {
      names[row.actorID] = try reader.agent(tenant: row.tenant, id: row.actorID)?.name ?? ""
    }
    let details = row.details.isEmpty ? JSONObject() : try JSONValue.parse([UInt8](row.details.utf8), limits: .scoped).object
    return HistoryEntry(
      row: (row.sequence, row.at, row.action, row.outcome, row.requestID),
      actor: (row.actorType, row.actorID, names[row.actorID] ?? "", Self.shown(keyID: row.keyID)), fieldKey: row.fieldKey,
      revision: row.revision,
      details: details ?? JSONObject(), id: "aud_" + RandomText.base32(Array(row.hash.prefix(16))))
  }
}
