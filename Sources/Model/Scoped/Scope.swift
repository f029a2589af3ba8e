/// The four levels a secret may belong to (scoped spec, section 3.1), strongest first when several have the same secret.
package enum ScopeKind: String, Sendable, Hashable, CaseIterable {
  case agent, project, team, org
}

/// One scope of a tenant.
package struct Scope: Sendable, Hashable {
  package let kind: ScopeKind
  package let id: String

  package init(_ kind: ScopeKind, _ id: String) {
    self.kind = kind
    self.id = id
  }

  /// Whether `text` may be the id of a scope at all: 1 to 128 of letters, digits, `_` and `-`.
  package static func isID(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == 0x5F || $0 == 0x2D }
  }
}

enum ASCII {
  static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
  static func isAlphanumeric(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }
}
