package import Ciphers
package import SecretMemory

/// The key above all others: 32 random bytes outside the store, with a permanent id.
package struct RootKey: Sendable {
  package static let bytes = 32

  /// 16 characters of 0-9A-Za-z; public, stored beside what the key wraps.
  package let id: String
  let key: SecretBytes
  /// Of rows that hang on this key.
  let rowProof: RowProof
  private let auditKey: SecretBytes
  /// Signs where lists go on.
  package let cursorKey: CursorKey

  /// - Parameter key: 32 bytes.
  package init(id: String, key: SecretBytes) throws(CipherError) {
    guard key.count == Self.bytes else { throw .libraryFailure }
    self.id = id
    self.key = key
    rowProof = RowProof(key: try HKDFSHA256.derive(from: key, info: Array("coffer/root-row-mac/v1".utf8), count: 32))
    auditKey = try HKDFSHA256.derive(from: key, info: Array("scoped-secrets/audit-mac/v1".utf8), count: 32)
    cursorKey = CursorKey(key: try HKDFSHA256.derive(from: key, info: Array("coffer/cursor/v1".utf8), count: 32))
  }

  package static func generate() throws(CipherError) -> RootKey {
    try RootKey(id: RandomText.base62(count: 16), key: SecretBytes.generate(count: bytes))
  }

  /// What a key check says of its store besides whose it is.
  package enum KeyCheck: Sendable {
    /// Every row of a KEK has a MAC.
    case provenKEKs
    /// From before schema 8, where none has.
    case unprovenKEKs

    var label: StaticString {
      switch self {
      case .provenKEKs: "coffer/key-check/v2"
      case .unprovenKEKs: "coffer/key-check/v1"
      }
    }
  }

  /// A value for the store that only this key makes for this store: HMAC over the store's id.
  package func keyCheck(storeID: [UInt8], _ kind: KeyCheck = .provenKEKs) throws(CipherError) -> [UInt8] {
    var message = LengthPrefixed()
    message.append(kind.label)
    message.append(id)
    message.append(storeID)
    return try HMACSHA256.code(for: message.bytes, key: rowProof.key)
  }

  package func verifies(keyCheck: [UInt8], storeID: [UInt8], _ kind: KeyCheck = .provenKEKs) -> Bool {
    guard let expected = try? self.keyCheck(storeID: storeID, kind) else { return false }
    return constantTimeEqual(expected, keyCheck)
  }

  /// MAC of a tenant's or a key's row, 32 bytes.
  package func rowMAC(_ message: borrowing MACMessage) throws(CipherError) -> [UInt8] { try rowProof.mac(message) }

  /// MAC of an audit hash, 32 bytes (scoped spec, section 7).
  package func auditMAC(_ hash: [UInt8]) throws(CipherError) -> [UInt8] { try HMACSHA256.code(for: hash, key: auditKey) }
}

/// Proves that a cursor is the server's (scoped spec, section 1.3). Nothing else hangs on it, so that it may outlive its root key.
package struct CursorKey: Sendable {
  let key: SecretBytes

  /// 32 bytes.
  package func mac(_ message: borrowing MACMessage) throws(CipherError) -> [UInt8] { try HMACSHA256.code(for: message.bytes, key: key) }
}
