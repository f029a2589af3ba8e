internal import Ciphers

/// What the hash of an audit entry covers, beside the hash before it (scoped spec, section 7).
package protocol AuditLinked {
  var linkSequence: UInt64 { get }
  /// tenant, at, actorType, actorId, keyId, action, scope, scopeId, secretId, fieldKey, revision, outcome, requestId, details.
  func appendTexts(to link: inout AuditLink)
}

/// The hash that links audit entries.
package struct AuditLink: ~Copyable {
  private var message = LengthPrefixed()

  private init(sequence: UInt64, after previous: [UInt8]?) {
    message.append("scoped-secrets/audit/v1")
    message.appendRaw(previous ?? [UInt8](repeating: 0, count: 32))
    message.append(sequence)
  }

  package mutating func append(_ text: String) { message.append(text) }

  /// 32 bytes. `previous` is the hash before; nil for the first entry, which stands for 32 zeros.
  package static func hash(_ entry: some AuditLinked, after previous: [UInt8]?) -> [UInt8] {
    var link = AuditLink(sequence: entry.linkSequence, after: previous)
    entry.appendTexts(to: &link)
    return SHA256.digest(link.message.bytes)
  }

  /// The columns of an entry that is no row of a store.
  package struct Fields: Sendable, AuditLinked {
    package var sequence: UInt64
    package var texts: [String]

    package init(sequence: UInt64, texts: [String]) {
      self.sequence = sequence
      self.texts = texts
    }

    package var linkSequence: UInt64 { sequence }
    package func appendTexts(to link: inout AuditLink) { for text in texts { link.append(text) } }
  }
}
