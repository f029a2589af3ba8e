package import Ciphers
internal import SecretMemory

extension RootKey {
  /// Bytes of a backup that are hashed at once.
  package static let backupChunk = 1 << 20

  /// What the root key says of a backup's content, 32 bytes: that it is this content and no other, to the last bit
  /// (docs/formats.md, Backups).
  ///
  /// - Parameters:
  ///   - length: bytes of the content.
  ///   - digests: SHA-256 of each chunk of `backupChunk` bytes, the last one shorter.
  package func backupSeal(length: Int64, digests: [[UInt8]]) throws(CipherError) -> [UInt8] {
    var message = LengthPrefixed()
    message.append("coffer/backup/v1")
    message.append(id)
    message.append(UInt64(bitPattern: length))
    for digest in digests { message.append(digest) }
    return try HMACSHA256.code(for: message.bytes, key: HKDFSHA256.derive(from: key, info: Array("coffer/backup-seal/v1".utf8), count: 32))
  }
}
