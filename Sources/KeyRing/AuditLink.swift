internal import Ciphers

/// The hash that links audit entries (scoped spec, section 7).
package enum AuditLink {
  package struct Fields: Sendable {
    package var sequence: UInt64
    /// tenant, at, actorType, actorId, keyId, action, scope, scopeId, secretId, fieldKey, revision, outcome, requestId, details.
    package var texts: [String]

    package init(sequence: UInt64, texts: [String]) {
      self.sequence = sequence
      self.texts = texts
    }
  }

  /// 32 bytes. `previous` is the hash before; nil for the first entry, which stands for 32 zeros.
  package static func hash(_ fields: Fields, after previous: [UInt8]?) -> [UInt8] {
    var message = LengthPrefixed()
    message.append("scoped-secrets/audit/v1")
    message.appendRaw(previous ?? [UInt8](repeating: 0, count: 32))
    message.append(fields.sequence)
    for text in fields.texts { message.append(text) }
    return SHA256.digest(message.bytes)
  }
}
