internal import Model
internal import Store

/// What a change of a field came to.
package struct FieldChangeResult: Sendable {
  package let view: FieldView
  package let revision: UInt64
  package let isChanged: Bool
}

/// What a removal of a field came to.
package struct FieldRemoval: Sendable {
  package let revision: UInt64
  package let wasRemoved: Bool
}

extension ScopedTransaction {
  /// Sets one field of a secret that exists (scoped spec, section 5.7).
  package func set(_ content: FieldContent, _ action: ScopedAction, _ conditions: Preconditions, allowsDowngrade: Bool) throws
    -> FieldChangeResult
  {
    let (secret, current) = try found(action)
    let comparison = try compare(content, action, with: current, of: secret)
    let live = current.flatMap { $0.state == .live ? $0 : nil }
    try conditions.check(live.map(secret.tag))
    if case .same = comparison, let live {
      return FieldChangeResult(view: try service.view(live, of: secret, content: nil), revision: secret.revision, isChanged: false)
    }
    if live == nil {
      try destroyRemoved(of: secret)
      let count = try fields(of: secret, withValues: false).count { $0.state == .live }
      try spendFields(count + 1)
    } else {
      try conditions.demand(settings)
    }
    try checkDowngrade(content.sensitivity, from: live, isAllowed: allowsDowngrade)
    return try store(content, after: current, of: secret, action, as: "field.set")
  }

  private func store(
    _ content: FieldContent, after current: FieldRow?, of secret: ScopedSecretRow, _ action: ScopedAction, as name: StaticString
  )
    throws -> FieldChangeResult
  {
    let row = try updateHead(advanced(secret, setting: [(action.fieldKey, Self.version(after: current))]))
    let field = try store(content, in: action.fieldKey, after: current, of: row)
    try recordSet(field, row, action.scope, as: name)
    return FieldChangeResult(view: try service.view(field, of: row, content: nil), revision: row.revision, isChanged: true)
  }

  /// Makes a new version out of an earlier one, with the same content and the same data key (section 4.5).
  package func rollBack(to version: UInt64, _ action: ScopedAction, _ conditions: Preconditions, allowsDowngrade: Bool) throws
    -> FieldChangeResult
  {
    let (secret, current) = try found(action)
    guard let current, current.state == .live else { throw ScopedFailure(code: .fieldNotFound) }
    try conditions.check(secret.tag(of: current))
    if version == current.version {
      return FieldChangeResult(view: try service.view(current, of: secret, content: nil), revision: secret.revision, isChanged: false)
    }
    guard let earlier = try service.retained(version, of: current, in: store) else { throw ScopedFailure(code: .versionNotFound) }
    let content = try service.content(of: earlier, of: secret, in: store)
    if try holds(current, content, earlier, of: secret) {
      return FieldChangeResult(view: try service.view(current, of: secret, content: nil), revision: secret.revision, isChanged: false)
    }
    try conditions.demand(settings)
    if content.sensitivity == .plaintext, settings.plaintextPolicy == .deny {
      throw ScopedFailure(Refusal(.plaintextDenied), denial: action.denial(.plaintextDenied, origin))
    }
    try checkDowngrade(content.sensitivity, from: current, isAllowed: allowsDowngrade)
    return try store(content, after: current, of: secret, action, as: "field.rolled_back")
  }

  /// Whether a field has the content of an earlier version already: a rollback that is repeated makes no versions.
  private func holds(_ current: FieldRow, _ content: FieldContent, _ earlier: FieldRow, of secret: ScopedSecretRow) throws -> Bool {
    guard current.sensitivity == earlier.sensitivity else { return false }
    switch content {
    // A data key seals one envelope.
    case .envelope: return current.dataKeyID == earlier.dataKeyID
    case .value(let value):
      guard case .value(let stored) = try service.content(of: current, of: secret, in: store) else { return false }
      return stored == value
    }
  }

  /// Takes a field out of a secret (section 5.8). Doing it again within the deletion window is no error.
  package func removeField(_ action: ScopedAction, _ conditions: Preconditions) throws -> FieldRemoval {
    let (secret, current) = try found(action)
    guard let current else { throw ScopedFailure(code: .fieldNotFound) }
    guard current.state == .live else {
      guard !current.isOver(at: now) else { throw ScopedFailure(code: .fieldNotFound) }
      return FieldRemoval(revision: secret.revision, wasRemoved: true)
    }
    try conditions.check(secret.tag(of: current))
    try conditions.demand(settings)
    try destroyRemoved(of: secret)
    let row = try updateHead(advanced(secret))
    try remove(current)
    try recordSet(current, row, action.scope, as: "field.removed")
    return FieldRemoval(revision: row.revision, wasRemoved: false)
  }

  /// The live secret and the newest version of the field.
  private func found(_ action: ScopedAction) throws -> (ScopedSecretRow, FieldRow?) {
    guard let (secret, field) = try store.scopedField(caller.place(action.scope), secret: action.secretID, key: action.fieldKey) else {
      throw ScopedFailure(code: .secretNotFound)
    }
    let row = try service.verified(secret, in: store)
    return (row, try service.newest(field, action.fieldKey, of: row, in: store))
  }
}
