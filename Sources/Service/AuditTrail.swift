package import Model

/// What happened, before it is linked into a tenant's chain (design section 7; scoped spec section 7).
/// No part ever holds a value, a token or a key.
package struct AuditEvent: Sendable {
  package enum Outcome: String, Sendable { case allowed, denied }

  package var action: StaticString
  /// Of a secret of the scoped dialect; nil otherwise.
  package var scope: Scope?
  package var fieldKey: String
  /// Name of the secret or document the event is about; empty when none.
  package var subject: String
  /// Version after the event; nil when nothing has one.
  package var revision: UInt64?
  package var outcome: Outcome
  /// Canonical JSON, metadata only; empty when none.
  package var details: String
  /// Every stored row that the event changed.
  package var rows: [RowChange]

  package init(
    _ action: StaticString, subject: String = "", revision: UInt64? = nil, outcome: Outcome = .allowed, details: String = "",
    rows: [RowChange] = []
  ) {
    self.init(action, in: nil, subject: subject, revision: revision, outcome: outcome, details: details, rows: rows)
  }

  /// About a secret of the scoped dialect.
  package init(
    _ action: StaticString, in scope: Scope?, subject: String = "", field: String = "", revision: UInt64? = nil,
    outcome: Outcome = .allowed, details: String = "", rows: [RowChange] = []
  ) {
    self.action = action
    self.scope = scope
    fieldKey = field
    self.subject = subject
    self.revision = revision
    self.outcome = outcome
    self.details = details
    self.rows = rows
  }
}
