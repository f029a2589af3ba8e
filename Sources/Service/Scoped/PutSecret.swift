internal import Ciphers
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Store
internal import StrictJSON

/// What a PUT of a secret asks for (scoped spec, section 5.2).
package struct SecretPlan: Sendable {
  package enum Entry: Sendable {
    /// As it is stored.
    case keep
    case content(FieldContent)
  }
  package let name: String
  package let category: String
  package let tags: [String]
  /// Keys are unique.
  package let fields: [(key: String, entry: Entry)]
  package let allowsDowngrade: Bool

  package init(name: String, category: String, tags: [String], fields: [(key: String, entry: Entry)], allowsDowngrade: Bool) {
    self.name = name
    self.category = category
    self.tags = tags
    self.fields = fields
    self.allowsDowngrade = allowsDowngrade
  }
}

/// What a change of a secret came to.
package struct SecretChangeResult: Sendable {
  package let view: SecretView
  package let isCreated: Bool
  package let isChanged: Bool
}

extension ScopedTransaction {
  /// Creates a secret, or replaces it as a whole.
  package func put(_ plan: SecretPlan, _ action: ScopedAction, _ conditions: Preconditions) throws -> SecretChangeResult {
    guard let stored = try service.liveSecret(caller.place(action.scope), action.secretID, in: store) else {
      return try create(plan, action, conditions)
    }
    return try replace(stored, by: plan, action, conditions)
  }

  private func create(_ plan: SecretPlan, _ action: ScopedAction, _ conditions: Preconditions) throws -> SecretChangeResult {
    for (key, entry) in plan.fields {
      guard case .content(let content) = entry else { throw ScopedFailure(code: .fieldNotFound) }
      _ = try compare(content, action.on(key), with: nil, of: nil)
    }
    try conditions.check(nil)
    try spendFields(plan.fields.count)
    try purgeDue()
    let place = caller.place(action.scope)
    try quotas.spend("maxSecretsPerScope", try store.resize(place, by: 1), of: settings.maxSecretsPerScope)
    let time = now
    var versions = NewestVersions()
    for (key, _) in plan.fields { versions.set(key, Self.version(after: nil)) }
    let row = try put(
      ScopedSecretRow(
        place: place, secretID: action.secretID, incarnation: try Self.newIncarnation(), name: plan.name, category: plan.category,
        tags: plan.tags.jsonText, revision: 1, kekVersion: 0, createdAt: time, updatedAt: time, createdBy: caller.agentID,
        updatedBy: caller.agentID, deletedAt: nil, purgeAfter: nil, fieldVersions: versions.text, mac: []))
    try record(AuditEvent("secret.created", in: action.scope, subject: row.secretID, revision: 1, details: details.text))
    for case (let key, .content(let content)) in plan.fields {
      let field = try store(content, in: key, after: nil, of: row)
      try recordSet(field, row, action.scope)
    }
    return SecretChangeResult(view: try service.view(row, in: store), isCreated: true, isChanged: true)
  }

  private func replace(_ stored: ScopedSecretRow, by plan: SecretPlan, _ action: ScopedAction, _ conditions: Preconditions) throws
    -> SecretChangeResult
  {
    let known = Dictionary(uniqueKeysWithValues: try fields(of: stored, withValues: true).map { ($0.fieldKey, $0) })
    var changes: [(key: String, content: FieldContent)] = []
    for (key, entry) in plan.fields {
      switch entry {
      case .keep: guard known[key]?.state == .live else { throw ScopedFailure(code: .fieldNotFound) }
      case .content(let content):
        if case .different = try compare(content, action.on(key), with: known[key], of: stored) { changes.append((key, content)) }
      }
    }
    let listed = Set(plan.fields.map(\.key))
    let gone = known.values.filter { $0.state == .live && !listed.contains($0.fieldKey) }
    try conditions.check(stored.tag)
    let names = changedNames(stored, plan.name, plan.category, plan.tags)
    if names.isEmpty, changes.isEmpty, gone.isEmpty {
      return SecretChangeResult(view: try service.view(stored, in: store), isCreated: false, isChanged: false)
    }
    guard conditions.ifMatch != nil else {
      throw settings.requireIfMatch ? ScopedFailure(code: .preconditionRequired) : ScopedFailure(.exists(currentTag: stored.tag))
    }
    for (key, content) in changes { try checkDowngrade(content.sensitivity, from: known[key], isAllowed: plan.allowsDowngrade) }
    try spendFields(plan.fields.count)
    return try apply(plan, changes, gone, names, to: stored, known, action.scope)
  }

  private func apply(
    _ plan: SecretPlan, _ changes: [(key: String, content: FieldContent)], _ gone: [FieldRow], _ names: [String],
    to stored: ScopedSecretRow, _ known: [String: FieldRow], _ scope: Scope
  ) throws -> SecretChangeResult {
    var row = try advanced(stored, setting: changes.map { ($0.key, Self.version(after: known[$0.key])) })
    row.name = plan.name
    row.category = plan.category
    row.tags = plan.tags.jsonText
    row = try put(row)
    try record(
      AuditEvent(
        "secret.replaced", in: scope, subject: row.secretID, revision: row.revision, details: details.with("changed", names).text))
    for field in gone {
      try remove(field)
      try record(
        AuditEvent(
          "field.removed", in: scope, subject: row.secretID, field: field.fieldKey, revision: row.revision,
          details: details.with(fieldVersion: field.version).text))
    }
    for (key, content) in changes { try recordSet(try store(content, in: key, after: known[key], of: row), row, scope) }
    return SecretChangeResult(view: try service.view(row, in: store), isCreated: false, isChanged: true)
  }

  /// Changes the metadata only; absent parts stay.
  package func patch(name: String?, category: String?, tags: [String]?, _ action: ScopedAction, _ conditions: Preconditions) throws
    -> SecretChangeResult
  {
    guard let stored = try service.liveSecret(caller.place(action.scope), action.secretID, in: store) else {
      throw ScopedFailure(code: .secretNotFound)
    }
    try conditions.check(stored.tag)
    let known = [String](jsonText: stored.tags) ?? []
    let names = changedNames(stored, name ?? stored.name, category ?? stored.category, tags ?? known)
    if names.isEmpty {
      return SecretChangeResult(view: try service.view(stored, in: store), isCreated: false, isChanged: false)
    }
    try conditions.demand(settings)
    var row = try advanced(stored)
    row.name = name ?? stored.name
    row.category = category ?? stored.category
    row.tags = (tags ?? known).jsonText
    row = try put(row)
    try record(
      AuditEvent(
        "secret.metadata_updated", in: action.scope, subject: row.secretID, revision: row.revision,
        details: details.with("changed", names).text))
    return SecretChangeResult(view: try service.view(row, in: store), isCreated: false, isChanged: true)
  }

  private func changedNames(_ stored: ScopedSecretRow, _ name: String, _ category: String, _ tags: [String]) -> [String] {
    var names: [String] = []
    if !stored.category.utf8.elementsEqual(category.utf8) { names.append("category") }
    if !stored.name.utf8.elementsEqual(name.utf8) { names.append("secretName") }
    if !stored.tags.utf8.elementsEqual(tags.jsonText.utf8) { names.append("tags") }
    return names
  }

  func checkDowngrade(_ new: Sensitivity, from current: FieldRow?, isAllowed: Bool) throws {
    guard let current, current.state == .live, current.sensitivity == Sensitivity.encrypted.rawValue, new == .plaintext, !isAllowed
    else { return }
    throw ScopedFailure(code: .sensitivityDowngrade)
  }

  /// - Parameter count: fields that the secret is to have.
  func spendFields(_ count: Int) throws(ScopedFailure) {
    try quotas.spend("maxFieldsPerSecret", Int64(count), of: settings.maxFieldsPerSecret)
  }

  func recordSet(_ field: FieldRow, _ secret: ScopedSecretRow, _ scope: Scope, as name: StaticString = "field.set") throws {
    try record(
      AuditEvent(
        name, in: scope, subject: secret.secretID, field: field.fieldKey, revision: secret.revision,
        details: details.with(fieldVersion: field.version).with(sensitivity: field.sensitivity).text))
  }

  /// Random and never 0, which stands for the live secret of an id.
  private static func newIncarnation() throws -> UInt64 {
    try RandomBytes.generate(count: 8).reduce(0) { $0 << 8 | UInt64($1) } | 1
  }
}

extension ScopedAction {
  /// The same for one field.
  func on(_ field: String) -> ScopedAction { ScopedAction(name, needs: capability, on: scope, secret: secretID, field: field) }
}
