package import Ciphers
package import SecretMemory

/// What a data key may seal: exactly one field of one secret (scoped spec, section 6.3). Every part comes from the
/// authenticated caller and the request, never from the wrapped key itself.
package struct DataKeyBinding: Sendable, Equatable {
  package var tenant: String
  package var scope: String
  package var scopeID: String
  package var secretID: String
  package var fieldKey: String

  package init(tenant: String, scope: String, scopeID: String, secretID: String, fieldKey: String) {
    self.tenant = tenant
    self.scope = scope
    self.scopeID = scopeID
    self.secretID = secretID
    self.fieldKey = fieldKey
  }

  func authenticatedData(header: ArraySlice<UInt8>) -> [UInt8] {
    var data = LengthPrefixed()
    data.appendRaw(header)
    data.append("scoped-secrets/data-key/v1")
    data.append(tenant)
    data.append(scope)
    data.append(scopeID)
    data.append(secretID)
    data.append(fieldKey)
    return data.bytes
  }
}

/// A wrapped data key, format `DKW1`: 110 bytes (scoped spec, section 6.2).
///
///     0 "DKW1" | 4 algorithm 1 | 5 flags 0 | 6 KEK id (16) | 22 KEK version (4) | 26 data key id (16)
///     | 42 issue time, Unix ms (8) | 50 nonce (12) | 62 ciphertext (32) | 94 tag (16)
package struct WrappedDataKey: Sendable, Equatable {
  package static let byteCount = 110
  static let headerBytes = 50
  private static let magic = Array("DKW1".utf8)
  private static let aes256GCM: UInt8 = 1

  package let bytes: [UInt8]

  /// nil for another length, format, algorithm or any flag. Whether it opens is another question.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic), bytes[4] == Self.aes256GCM, bytes[5] == 0 else { return nil }
    self.bytes = bytes
  }

  fileprivate init(header: [UInt8], nonce: [UInt8], sealed: [UInt8]) { bytes = header + nonce + sealed }

  package var kekID: [UInt8] { Array(bytes[6..<22]) }
  package var kekVersion: UInt32 { UInt32(truncatingIfNeeded: number(22..<26)) }
  /// 16 bytes.
  package var id: [UInt8] { Array(bytes[26..<42]) }
  /// Unix milliseconds. Authenticated: true once the key has opened.
  package var issuedAt: UInt64 { number(42..<50) }

  /// Whether it was issued `seconds` ago or longer; `now` in Unix milliseconds. Any issue time may stand there.
  package func isExpired(after seconds: Int64, at now: Int64) -> Bool { Int64(clamping: issuedAt) <= now - seconds * 1000 }

  var header: ArraySlice<UInt8> { bytes[..<Self.headerBytes] }
  var sealed: [UInt8] { Array(bytes[Self.headerBytes...]) }

  private func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }

  fileprivate static func header(kekID: [UInt8], kekVersion: UInt32, id: [UInt8], issuedAt: UInt64) -> [UInt8] {
    var header = LengthPrefixed()
    header.appendRaw(magic + [aes256GCM, 0])
    header.appendRaw(kekID)
    header.append(kekVersion)
    header.appendRaw(id)
    header.append(issuedAt)
    return header.bytes
  }
}

/// A data key just minted: the key for the client, once, and the wrapped form that the client keeps.
package struct MintedDataKey: Sendable {
  /// 32 bytes.
  package let key: SecretBytes
  package let wrapped: WrappedDataKey
}

extension TenantKeys {
  /// A fresh random data key for `binding`.
  package func mintDataKey(for binding: DataKeyBinding, issuedAt: UInt64) throws(CipherError) -> MintedDataKey {
    let key = try SecretBytes.generate(count: 32)
    // At once: each draw has its price.
    let random = try RandomBytes.generate(count: 16 + AES256GCM.nonceBytes)
    let (id, nonce) = (Array(random[..<16]), Array(random[16...]))
    return MintedDataKey(key: key, wrapped: try wrap(key, id: id, issuedAt: issuedAt, nonce: nonce, to: binding))
  }

  /// Wraps a data key under this KEK version.
  ///
  /// - Parameters:
  ///   - id: 16 bytes; with `issuedAt` it stays the same when a stored key is wrapped again.
  ///   - nonce: 12 bytes, used once under this KEK version.
  package func wrap(_ key: SecretBytes, id: [UInt8], issuedAt: UInt64, nonce: [UInt8], to binding: DataKeyBinding) throws(CipherError)
    -> WrappedDataKey
  {
    guard key.count == 32, id.count == 16, nonce.count == AES256GCM.nonceBytes else { throw .libraryFailure }
    let header = WrappedDataKey.header(kekID: kekID, kekVersion: version, id: id, issuedAt: issuedAt)
    let aad = binding.authenticatedData(header: header[...])
    let sealed = try key.withBytes { bytes throws(CipherError) in
      try AES256GCM.seal(bytes, key: kek, nonce: nonce, authenticating: aad)
    }
    return WrappedDataKey(header: header, nonce: [], sealed: sealed)
  }

  /// The same data key wrapped by this KEK version in the place of `old`: same id, same issue time, fresh nonce (scoped spec,
  /// section 6.6).
  package func rewrap(_ wrapped: WrappedDataKey, from old: TenantKeys, boundTo binding: DataKeyBinding) throws(CipherError)
    -> WrappedDataKey
  {
    let key = try old.unwrap(wrapped, boundTo: binding)
    return try wrap(
      key, id: wrapped.id, issuedAt: wrapped.issuedAt, nonce: try RandomBytes.generate(count: AES256GCM.nonceBytes), to: binding)
  }

  /// The data key, 32 bytes. Fails for any other binding, tenant or KEK version, and when one bit of it was changed.
  package func unwrap(_ wrapped: WrappedDataKey, boundTo binding: DataKeyBinding) throws(CipherError) -> SecretBytes {
    guard wrapped.kekVersion == version, wrapped.kekID == kekID, binding.tenant == tenant else { throw .authenticationFailed }
    let key = try AES256GCM.open(wrapped.sealed, key: kek, authenticating: binding.authenticatedData(header: wrapped.header))
    guard key.count == 32 else { throw .authenticationFailed }
    return key
  }
}
