internal import CLibcrypto
package import SecretMemory

/// AES-256 in Galois/counter mode (NIST SP 800-38D) with a 32-byte key, a 12-byte nonce and a 16-byte tag, no others.
package enum AES256GCM {
  package static let keyBytes = 32
  package static let nonceBytes = 12
  package static let tagBytes = 16

  /// Seals under a fresh random nonce.
  /// - Returns: nonce (12) || ciphertext || tag (16).
  package static func seal(_ plaintext: RawSpan, key: SecretBytes, authenticating aad: [UInt8]) throws(CipherError) -> [UInt8] {
    try seal(plaintext, key: key, nonce: try ThreadContexts.current().nonce(), authenticating: aad)
  }

  /// Seals under a given nonce, which must never be used twice with one key.
  /// - Returns: nonce (12) || ciphertext || tag (16).
  package static func seal(_ plaintext: RawSpan, key: SecretBytes, nonce: [UInt8], authenticating aad: [UInt8]) throws(CipherError)
    -> [UInt8]
  {
    guard key.count == keyBytes, nonce.count == nonceBytes, let length = Int32(exactly: plaintext.byteCount),
      let aadLength = Int32(exactly: aad.count)
    else { throw .libraryFailure }
    let contexts = try ThreadContexts.current()
    let (context, isKeyed) = unsafe contexts.seal.context(for: key)
    var sealed = nonce + [UInt8](repeating: 0, count: plaintext.byteCount + tagBytes)
    let succeeded = key.withBytes { key in
      unsafe key.withUnsafeBytes { key in
        unsafe plaintext.withUnsafeBytes { plaintext in
          unsafe sealed.withUnsafeMutableBufferPointer { sealed in
            let out = unsafe sealed.baseAddress! + nonceBytes
            var written: Int32 = 0
            return unsafe EVP_EncryptInit_ex2(
              context, isKeyed ? nil : Algorithms.aes256GCM, isKeyed ? nil : key.baseAddress, sealed.baseAddress, nil) == 1
              && EVP_EncryptUpdate(context, nil, &written, aad, aadLength) == 1
              && (length == 0 || EVP_EncryptUpdate(context, out, &written, plaintext.baseAddress, length) == 1)
              && EVP_EncryptFinal_ex(context, out + Int(length), &written) == 1
              && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), out + Int(length)) == 1
          }
        }
      }
    }
    guard succeeded else {
      contexts.seal.forget()
      throw .libraryFailure
    }
    return sealed
  }

  /// Opens nonce || ciphertext || tag. The plaintext is released only after the tag was checked.
  package static func open(_ sealed: [UInt8], key: SecretBytes, authenticating aad: [UInt8]) throws(CipherError) -> SecretBytes {
    guard sealed.count >= nonceBytes + tagBytes else { throw .authenticationFailed }
    return try open(
      ciphertext: sealed[nonceBytes..<(sealed.count - tagBytes)], nonce: sealed[..<nonceBytes], tag: sealed[(sealed.count - tagBytes)...],
      key: key,
      authenticating: aad)
  }

  /// Opens the three parts. A nonce that is not 12 bytes or a tag that is not 16 never opens.
  package static func open(
    ciphertext: ArraySlice<UInt8>, nonce: ArraySlice<UInt8>, tag: ArraySlice<UInt8>, key: SecretBytes, authenticating aad: [UInt8]
  ) throws(CipherError) -> SecretBytes {
    guard key.count == keyBytes, nonce.count == nonceBytes, tag.count == tagBytes, let length = Int32(exactly: ciphertext.count),
      let aadLength = Int32(exactly: aad.count)
    else { throw .authenticationFailed }
    let contexts = try ThreadContexts.current()
    let (context, isKeyed) = unsafe contexts.open.context(for: key)
    var tag = Array(tag)
    var opened = false
    let plaintext = SecretBytes(count: ciphertext.count) { plaintext in
      opened = key.withBytes { key in
        unsafe key.withUnsafeBytes { key in
          unsafe ciphertext.withUnsafeBufferPointer { ciphertext in
            unsafe nonce.withUnsafeBufferPointer { nonce in
              unsafe plaintext.withUnsafeMutableBytes { plaintext in
                let out = unsafe plaintext.baseAddress?.assumingMemoryBound(to: UInt8.self)
                var written: Int32 = 0
                var nothing: UInt8 = 0
                return unsafe EVP_DecryptInit_ex2(
                  context, isKeyed ? nil : Algorithms.aes256GCM, isKeyed ? nil : key.baseAddress, nonce.baseAddress, nil) == 1
                  && EVP_DecryptUpdate(context, nil, &written, aad, aadLength) == 1
                  && (length == 0 || EVP_DecryptUpdate(context, out, &written, ciphertext.baseAddress, length) == 1)
                  && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1
                  && EVP_DecryptFinal_ex(context, &nothing, &written) == 1
              }
            }
          }
        }
      }
    }
    guard opened else {
      contexts.open.forget()
      throw .authenticationFailed
    }
    return plaintext
  }
}
