/// What happened, before it is linked into a tenant's chain (design section 7; scoped spec section 7).
/// No part ever holds a value, a token or a key.
package struct AuditEvent: Sendable {
  package enum Outcome: String, Sendable { case allowed, denied }

  package var action: StaticString
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
    self.action = action
    self.subject = subject
    self.revision = revision
    self.outcome = outcome
    self.details = details
    self.rows = rows
  }
}
