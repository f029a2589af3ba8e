package import Ciphers

/// Where in a chain the root key was changed, under the new key. The entries up to there have MACs of keys that are gone; this
/// says that the chain with this head was proven before the change, so that their links prove them (scoped spec, section 7).
///
/// `ARC1` || uint64 sequence || hash (32) || mac (32), 76 bytes; mac = HMAC-SHA-256(audit key,
/// lp("coffer/audit-root-change/v1") || lp(tenant) || sequence || hash).
package struct AuditRootChange: Sendable, Equatable {
  /// The last entry under the old key: the one that tells of the change.
  package let sequence: Int64
  /// Its hash, 32 bytes.
  package let hash: [UInt8]

  private static let magic = Array("ARC1".utf8)
  private static let bytes = 76

  package init(sequence: Int64, hash: [UInt8]) {
    self.sequence = sequence
    self.hash = hash
  }

  /// nil when the bytes are none of ours. Whether they are genuine `isGenuine` says.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.bytes, bytes.starts(with: Self.magic) else { return nil }
    let sequence = Int64(bitPattern: bytes[4..<12].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    guard AuditMark.sequences.contains(sequence) else { return nil }
    self.init(sequence: sequence, hash: Array(bytes[12..<44]))
  }

  package func bytes(tenant: String, root: RootKey) throws(CipherError) -> [UInt8] {
    var body = LengthPrefixed()
    body.append(UInt64(bitPattern: sequence))
    body.appendRaw(hash)
    var message = LengthPrefixed()
    message.append("coffer/audit-root-change/v1")
    message.append(tenant)
    message.appendRaw(body.bytes)
    return try Self.magic + body.bytes + root.auditMAC(message.bytes)
  }

  package static func isGenuine(_ bytes: [UInt8], tenant: String, roots: RootKeys) -> Bool {
    guard let change = AuditRootChange(bytes) else { return false }
    return roots.made(bytes) { root throws(CipherError) in try change.bytes(tenant: tenant, root: root) }
  }
}
