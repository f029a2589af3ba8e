package import Ciphers

/// What a cut leaves in the place of the entries before it: where the chain goes on, under the audit key.
///
/// `ACP1` || uint64 sequence || hash (32) || uint64 time || uint64 count || mac (32), 92 bytes; mac = HMAC-SHA-256(audit key,
/// lp("coffer/audit-checkpoint/v1") || lp(tenant) || all before it from the sequence on).
package struct AuditCheckpoint: Sendable, Equatable {
  /// The last entry that was cut.
  package let sequence: Int64
  /// Its hash, 32 bytes.
  package let hash: [UInt8]
  /// Unix milliseconds of the cut.
  package let at: Int64
  /// Entries that this cut removed.
  package let count: Int64

  private static let magic = Array("ACP1".utf8)
  private static let bytes = 92

  package init(sequence: Int64, hash: [UInt8], at: Int64, count: Int64) {
    self.sequence = sequence
    self.hash = hash
    self.at = at
    self.count = count
  }

  /// nil when the bytes are none of ours. Whether they are genuine `isGenuine` says.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.bytes, bytes.starts(with: Self.magic) else { return nil }
    func number(at offset: Int) -> Int64 {
      Int64(bitPattern: bytes[offset..<(offset + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    let sequence = number(at: 4)
    guard AuditMark.sequences.contains(sequence) else { return nil }
    self.init(sequence: sequence, hash: Array(bytes[12..<44]), at: number(at: 44), count: number(at: 52))
  }

  package func bytes(tenant: String, root: RootKey) throws(CipherError) -> [UInt8] {
    try Self.magic + body + root.auditMAC(message(tenant))
  }

  package static func isGenuine(_ bytes: [UInt8], tenant: String, roots: RootKeys) -> Bool {
    guard let checkpoint = AuditCheckpoint(bytes) else { return false }
    return roots.made(bytes) { root throws(CipherError) in try checkpoint.bytes(tenant: tenant, root: root) }
  }

  private var body: [UInt8] {
    var body = LengthPrefixed()
    body.append(UInt64(bitPattern: sequence))
    body.appendRaw(hash)
    body.append(UInt64(bitPattern: at))
    body.append(UInt64(bitPattern: count))
    return body.bytes
  }

  private func message(_ tenant: String) -> [UInt8] {
    var message = LengthPrefixed()
    message.append("coffer/audit-checkpoint/v1")
    message.append(tenant)
    message.appendRaw(body)
    return message.bytes
  }
}
