package import Ciphers
package import SecretMemory

/// One version of a tenant's key encryption key, in the open.
package struct TenantKEK: Sendable {
  package let tenant: String
  /// 16 random bytes.
  package let id: [UInt8]
  package let version: UInt32
  let key: SecretBytes

  /// - Parameters:
  ///   - id: 16 bytes.
  ///   - key: 32 bytes.
  package init(tenant: String, id: [UInt8], version: UInt32, key: SecretBytes) {
    self.tenant = tenant
    self.id = id
    self.version = version
    self.key = key
  }

  package static func generate(tenant: String, version: UInt32) throws(CipherError) -> TenantKEK {
    TenantKEK(tenant: tenant, id: try RandomBytes.generate(count: 16), version: version, key: try SecretBytes.generate(count: 32))
  }

  /// What clients and operators know a KEK by: `kek_` and 26 characters.
  package static func name(of id: [UInt8]) -> String { "kek_" + RandomText.base32(id) }

  /// nonce (12) || ciphertext (32) || tag (16), under the root key (scoped spec, section 6.1).
  package func wrapped(by root: RootKey) throws(CipherError) -> [UInt8] {
    try wrapped(by: root, nonce: try RandomBytes.generate(count: AES256GCM.nonceBytes))
  }

  /// As `wrapped(by:)`, under a given 12-byte nonce.
  package func wrapped(by root: RootKey, nonce: [UInt8]) throws(CipherError) -> [UInt8] {
    let aad = Self.aad(root: root, tenant: tenant, id: id, version: version)
    return try key.withBytes { key throws(CipherError) in try AES256GCM.seal(key, key: root.key, nonce: nonce, authenticating: aad) }
  }

  static func unwrap(_ wrapped: [UInt8], tenant: String, id: [UInt8], version: UInt32, root: RootKey) throws(CipherError) -> TenantKEK {
    let aad = aad(root: root, tenant: tenant, id: id, version: version)
    let key = try AES256GCM.open(wrapped, key: root.key, authenticating: aad)
    guard key.count == 32 else { throw .authenticationFailed }
    return TenantKEK(tenant: tenant, id: id, version: version, key: key)
  }

  /// What `old` wraps, wrapped by `new`. It is opened again before it is given: what is not the same key is an error.
  package static func rewrap(
    _ wrapped: [UInt8], tenant: String, id: [UInt8], version: UInt32, from old: RootKey, to new: RootKey
  ) throws(CipherError) -> [UInt8] {
    let kek = try unwrap(wrapped, tenant: tenant, id: id, version: version, root: old)
    let again = try kek.wrapped(by: new)
    guard try unwrap(again, tenant: tenant, id: id, version: version, root: new).key == kek.key else { throw .authenticationFailed }
    return again
  }

  private static func aad(root: RootKey, tenant: String, id: [UInt8], version: UInt32) -> [UInt8] {
    var aad = LengthPrefixed()
    aad.append("scoped-secrets/kek/v1")
    aad.append(root.id)
    aad.append(tenant)
    aad.append(id)
    aad.append(version)
    return aad.bytes
  }
}

/// What a KEK version is used for at rest: a key that seals values and a key that authenticates plain columns.
package final class TenantKeys: Sendable {
  package let tenant: String
  package let kekID: [UInt8]
  package let version: UInt32
  /// `TenantKEK.name(of:)`.
  package let name: String
  /// Wraps data keys, and nothing else directly.
  let kek: SecretBytes
  private let storageKey: SecretBytes
  private let rowKey: SecretBytes

  package init(_ kek: TenantKEK) throws(CipherError) {
    self.kek = kek.key
    tenant = kek.tenant
    kekID = kek.id
    version = kek.version
    name = TenantKEK.name(of: kek.id)
    storageKey = try HKDFSHA256.derive(from: kek.key, info: Array("scoped-secrets/plain-storage/v1".utf8), count: 32)
    rowKey = try HKDFSHA256.derive(from: kek.key, info: Array("coffer/row-mac-key/v1".utf8), count: 32)
  }

  /// Unwraps a KEK row; fails when any of its coordinates is not the one it was wrapped with.
  package convenience init(unwrapping wrapped: [UInt8], tenant: String, kekID: [UInt8], version: UInt32, root: RootKey) throws(CipherError)
  {
    try self.init(TenantKEK.unwrap(wrapped, tenant: tenant, id: kekID, version: version, root: root))
  }

  /// nonce (12) || ciphertext || tag (16).
  package func seal(_ plaintext: RawSpan, at place: Place) throws(CipherError) -> [UInt8] {
    try AES256GCM.seal(plaintext, key: storageKey, authenticating: aad(place))
  }

  package func open(_ sealed: [UInt8], at place: Place) throws(CipherError) -> SecretBytes {
    try AES256GCM.open(sealed, key: storageKey, authenticating: aad(place))
  }

  /// MAC of a row's plain columns, 32 bytes.
  package func mac(_ message: borrowing MACMessage) throws(CipherError) -> [UInt8] {
    try HMACSHA256.code(for: message.bytes, key: rowKey)
  }

  /// The one function that builds the AAD of stored values (docs/formats.md).
  private func aad(_ place: Place) -> [UInt8] {
    var aad = LengthPrefixed()
    aad.append("coffer/row/v1")
    aad.append(place.table)
    aad.append(place.tenant)
    aad.append(place.id)
    aad.append(place.field)
    aad.append(place.incarnation)
    aad.append(place.version)
    aad.append(kekID)
    aad.append(version)
    return aad.bytes
  }
}

/// How often one KEK version may be used with random 96-bit nonces (NIST SP 800-38D, section 8.3, with a margin).
package enum WrapLimit {
  /// A new version is made.
  package static let rotation: Int64 = 1 << 30
  /// No further use.
  package static let refusal: Int64 = 1 << 31
}
