internal import CLibcrypto
package import SecretMemory

/// A Fernet key (fernet/spec, "Key Format"): 16 bytes that sign and 16 that encrypt.
package struct FernetKey: Sendable {
  let signing: SecretBytes
  let encryption: SecretBytes

  /// - Parameter bytes: 32 bytes, the signing half first.
  package init(_ bytes: SecretBytes) throws(CipherError) {
    guard bytes.count == 32 else { throw .libraryFailure }
    (signing, encryption) = bytes.withBytes { bytes in
      (SecretBytes(copying: bytes.extracting(first: 16)), SecretBytes(copying: bytes.extracting(last: 16)))
    }
  }

  /// The key an OpenHands agent server makes of a secret text: SHA-256 of its bytes (settings spec, section 2.1).
  package init(secretText: SecretBytes) {
    var digest = secretText.withBytes { SHA256.digest($0) }
    defer { erase(&digest) }
    signing = SecretBytes(copying: Array(digest[..<16]))
    encryption = SecretBytes(copying: Array(digest[16...]))
  }
}

/// Fernet tokens (fernet/spec, "Token Format"): version 0x80, 8-byte time, 16-byte iv, AES-128-CBC with PKCS#7 padding,
/// HMAC-SHA256 over all before it; the whole as padded URL-safe base64.
package enum Fernet {
  private static let version: UInt8 = 0x80
  private static let headerBytes = 1 + 8 + 16
  private static let macBytes = 32

  /// Seals under a fresh random iv.
  package static func seal(_ plaintext: RawSpan, key: FernetKey, unixSeconds: UInt64) throws(CipherError) -> [UInt8] {
    try seal(plaintext, key: key, unixSeconds: unixSeconds, iv: try RandomBytes.generate(count: 16))
  }

  /// Seals under a given 16-byte iv.
  package static func seal(_ plaintext: RawSpan, key: FernetKey, unixSeconds: UInt64, iv: [UInt8]) throws(CipherError) -> [UInt8] {
    guard iv.count == 16 else { throw .libraryFailure }
    var token = [version] + (0..<8).map { UInt8(truncatingIfNeeded: unixSeconds >> (56 - 8 * $0)) } + iv
    token += try CBC.encrypt(plaintext, key: key.encryption, iv: iv)
    token += try HMACSHA256.code(for: token, key: key.signing)
    return Base64.url.encode(token)
  }

  /// Opens a token of any age. The time inside is not judged: a clock that jumps must lock nobody out.
  package static func open(_ token: [UInt8], key: FernetKey) throws(CipherError) -> SecretBytes {
    guard let bytes = Base64.url.decode(token), bytes.count >= headerBytes + 16 + macBytes, bytes[0] == version,
      (bytes.count - headerBytes - macBytes) % 16 == 0
    else { throw .authenticationFailed }
    let signed = Array(bytes[..<(bytes.count - macBytes)])
    let mac = Array(bytes[(bytes.count - macBytes)...])
    let expected = try HMACSHA256.code(for: signed, key: key.signing)
    guard constantTimeEqual(unsafe expected.span.bytes, unsafe mac.span.bytes) else { throw .authenticationFailed }
    return try CBC.decrypt(signed[headerBytes...], key: key.encryption, iv: Array(signed[9..<headerBytes]))
  }
}

/// AES-128-CBC with PKCS#7 padding, for Fernet alone.
private enum CBC {
  static func encrypt(_ plaintext: RawSpan, key: SecretBytes, iv: [UInt8]) throws(CipherError) -> [UInt8] {
    guard let length = Int32(exactly: plaintext.byteCount) else { throw .libraryFailure }
    let context = try unsafe ThreadContexts.current().seal.unkeyedContext()
    var ciphertext = [UInt8](repeating: 0, count: (plaintext.byteCount / 16 + 1) * 16)
    let succeeded = key.withBytes { key in
      unsafe key.withUnsafeBytes { key in
        unsafe plaintext.withUnsafeBytes { plaintext in
          unsafe ciphertext.withUnsafeMutableBufferPointer { ciphertext in
            var body: Int32 = 0
            var last: Int32 = 0
            return unsafe EVP_EncryptInit_ex2(context, Algorithms.aes128CBC, key.baseAddress, iv, nil) == 1
              && (length == 0 || EVP_EncryptUpdate(context, ciphertext.baseAddress, &body, plaintext.baseAddress, length) == 1)
              && EVP_EncryptFinal_ex(context, ciphertext.baseAddress! + Int(body), &last) == 1
              && Int(body + last) == ciphertext.count
          }
        }
      }
    }
    guard succeeded else { throw .libraryFailure }
    return ciphertext
  }

  static func decrypt(_ ciphertext: ArraySlice<UInt8>, key: SecretBytes, iv: [UInt8]) throws(CipherError) -> SecretBytes {
    guard let length = Int32(exactly: ciphertext.count) else { throw .authenticationFailed }
    let context = try unsafe ThreadContexts.current().open.unkeyedContext()
    var count: Int32 = -1
    let padded = SecretBytes(count: ciphertext.count + 16) { plaintext in
      key.withBytes { key in
        unsafe key.withUnsafeBytes { key in
          unsafe ciphertext.withUnsafeBufferPointer { ciphertext in
            unsafe plaintext.withUnsafeMutableBytes { plaintext in
              let out = unsafe plaintext.baseAddress!.assumingMemoryBound(to: UInt8.self)
              var body: Int32 = 0
              var last: Int32 = 0
              let opened =
                unsafe EVP_DecryptInit_ex2(context, Algorithms.aes128CBC, key.baseAddress, iv, nil) == 1
                && EVP_DecryptUpdate(context, out, &body, ciphertext.baseAddress, length) == 1
                && EVP_DecryptFinal_ex(context, out + Int(body), &last) == 1
              if opened { count = body + last }
            }
          }
        }
      }
    }
    guard count >= 0 else { throw .authenticationFailed }
    return padded.withBytes { SecretBytes(copying: $0.extracting(first: Int(count))) }
  }
}
