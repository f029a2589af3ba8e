package import Model
internal import Store
internal import StrictJSON

/// What a list of secrets leaves out. nil and empty leave out nothing.
package struct SecretFilter: Sendable {
  package var category: String?
  /// Each must be there.
  package var tags: [String] = []
  /// In the id or the name, in any case.
  package var text: String?
  package var fieldKey: String?
  /// Unix milliseconds.
  package var updatedSince: Int64?

  package init() {}

  func admits(_ row: ScopedSecretRow) -> Bool {
    if let category, row.category != category { return false }
    if let updatedSince, row.updatedAt < updatedSince { return false }
    if let text = text?.lowercased(), !text.isEmpty,
      !Self.contains(row.secretID.lowercased(), text), !Self.contains(row.name.lowercased(), text)
    {
      return false
    }
    guard !tags.isEmpty else { return true }
    let known = [String](jsonText: row.tags) ?? []
    return tags.allSatisfy(known.contains)
  }

  func admits(_ view: SecretView) -> Bool { fieldKey.map { key in view.fields.contains { $0.key == key } } ?? true }

  /// By bytes: both are in lower case.
  private static func contains(_ text: String, _ part: String) -> Bool {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    guard part.count <= text.count else { return false }
    return (0...(text.count - part.count)).contains { text[$0..<($0 + part.count)].elementsEqual(part) }
  }
}

extension Desk {
  /// The secrets of a scope without their values, in order of id.
  ///
  /// - Parameters:
  ///   - id: start behind this one; empty = from the first.
  ///   - limit: nil = all.
  /// - Returns: the rows, and whether there are more.
  package func secrets(_ scope: Scope, _ filter: SecretFilter, after id: String, limit: Int?, for caller: AgentCaller)
    throws(ScopedFailure)
    -> (rows: [SecretView], hasMore: Bool)
  {
    try scoped {
      var views: [SecretView] = []
      var last = id
      // Where nothing is filtered out, the first rows fill the page and the one behind says that there are more.
      var count = min(limit.map { $0 + 1 } ?? 500, 500)
      while true {
        let rows = try reader.scopedSecrets(caller.place(scope), after: last, limit: count)
        for row in rows {
          last = row.secretID
          guard caller.reaches(row.secretID), filter.admits(row) else { continue }
          let view = try service.view(try service.verified(row, in: reader), in: reader)
          guard filter.admits(view) else { continue }
          if let limit, views.count == limit { return (views, true) }
          views.append(view)
        }
        if rows.count < count { return (views, false) }
        count = 500
      }
    }
  }

  /// One secret with what its fields hold.
  ///
  /// - Parameter wanted: the fields to show; nil = all.
  package func secret(
    _ action: ScopedAction, only wanted: Set<String>?, ifNoneMatch: EntityTagCondition?, for caller: AgentCaller, _ origin: RequestOrigin
  )
    throws(ScopedFailure) -> ConditionalRead<SecretView>
  {
    try scoped {
      guard let row = try service.liveSecret(caller.place(action.scope), action.secretID, in: reader) else {
        throw ScopedFailure(code: .secretNotFound)
      }
      if let ifNoneMatch, ifNoneMatch.matches(Array(row.tag.utf8)) { return .notModified(tag: row.tag) }
      let view = try service.view(row, withContent: true, only: wanted, in: reader)
      alert(row, action, caller, origin)
      let exposed = view.fields.filter { $0.sensitivity == .plaintext }.map(\.key)
      let event = AuditEvent(
        action.name, in: action.scope, subject: row.secretID, revision: row.revision,
        details: AuditDetails(origin).with("fields", exposed).text)
      return .read(view, exposure: exposed.isEmpty ? nil : event)
    }
  }

  /// One field: its current version, or an earlier one that is still kept.
  package func field(
    _ action: ScopedAction, version: UInt64?, ifNoneMatch: EntityTagCondition?, for caller: AgentCaller, _ origin: RequestOrigin
  )
    throws(ScopedFailure) -> ConditionalRead<FieldView>
  {
    try scoped {
      let name = KnownField.Name(action, of: caller)
      let known = try currentField(name)
      if version == nil, ifNoneMatch == nil, let view = known.view { return .read(view, exposure: nil) }
      let secret = known.secret
      var (field, view) = (known.field, known.view)
      if let version, version != field.version {
        guard let earlier = try service.retained(version, of: field, in: reader) else { throw ScopedFailure(code: .versionNotFound) }
        field = earlier
        view = nil
      }
      let tag = secret.tag(of: field)
      if let ifNoneMatch, ifNoneMatch.matches(Array(tag.utf8)) { return .notModified(tag: tag) }
      let shown = try view ?? service.view(field, of: secret, content: try service.content(of: field, of: secret, in: reader))
      if view == nil, field.version == known.field.version { remember(known, as: name, with: shown) }
      alert(secret, action, caller, origin)
      let event = AuditEvent(
        action.name, in: action.scope, subject: secret.secretID, field: field.fieldKey, revision: secret.revision,
        details: AuditDetails(origin).with(fieldVersion: field.version).text)
      return .read(shown, exposure: shown.sensitivity == .plaintext ? event : nil)
    }
  }

  func alert(_ secret: ScopedSecretRow, _ action: ScopedAction, _ caller: AgentCaller, _ origin: RequestOrigin) {
    guard secret.isCanary else { return }
    service.raise(Canary(secret), action.name, field: action.fieldKey, by: caller.principal, origin)
  }

  /// The rows of a field that is there, with their MACs checked, here or before.
  func currentField(_ name: KnownField.Name) throws -> KnownField {
    let known = memory.field(name)
    if let known, let contents = reader.contents, known.contents == contents { return known }
    guard let (secret, found) = try reader.scopedField(name.place, secret: name.secretID, key: name.fieldKey) else {
      throw ScopedFailure(code: .secretNotFound)
    }
    if let known, known.secret == secret, known.field == found {
      known.contents = reader.contents
      return known
    }
    let row = try service.verified(secret, in: reader)
    guard let field = try service.newest(found, name.fieldKey, of: row, in: reader), field.state == .live else {
      throw ScopedFailure(code: .fieldNotFound)
    }
    let current = KnownField(secret: row, field: field)
    current.contents = reader.contents
    return current
  }

  private func remember(_ known: KnownField, as name: KnownField.Name, with view: FieldView) {
    // What is answered from memory raises no alert.
    guard view.sensitivity == .encrypted, !known.secret.isCanary else { return }
    known.view = view
    known.view?.rendering = Rendering()
    memory.remember(known, as: name)
  }
}
