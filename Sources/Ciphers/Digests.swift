internal import CLibcrypto
package import SecretMemory

/// SHA-256 (FIPS 180-4): 32 bytes.
package enum SHA256 {
  package static func digest(_ bytes: RawSpan) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    // The one-shot call looks the algorithm up by name each time, which costs more than a short digest; it is what is
    // left when no context can be had.
    let context = try? unsafe ThreadContexts.current().digest
    unsafe bytes.withUnsafeBytes { bytes in
      guard let context = unsafe context, unsafe EVP_DigestInit_ex2(context, Algorithms.sha256, nil) == 1,
        unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, unsafe EVP_DigestFinal_ex(context, &digest, nil) == 1
      else {
        _ = unsafe CLibcrypto.SHA256(bytes.baseAddress, bytes.count, &digest)
        return
      }
    }
    return digest
  }

  package static func digest(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes.span.bytes) }
}

/// SHA-1: 20 bytes. For the opening handshake of WebSockets alone, where nothing hangs on it (RFC 6455, section 10.8).
package enum SHA1 {
  package static func digest(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 20)
    _ = unsafe bytes.withUnsafeBufferPointer { unsafe CLibcrypto.SHA1($0.baseAddress, $0.count, &digest) }
    return digest
  }
}

/// HMAC with SHA-256 (RFC 2104, RFC 4231): 32 bytes.
package enum HMACSHA256 {
  package static func code(for message: [UInt8], key: SecretBytes) throws(CipherError) -> [UInt8] {
    try code(for: unsafe message.span.bytes, key: key)
  }

  package static func code(for message: RawSpan, key: SecretBytes) throws(CipherError) -> [UInt8] {
    let contexts = try ThreadContexts.current()
    let (context, isKeyed) = unsafe contexts.mac(for: key)
    var code = [UInt8](repeating: 0, count: 32)
    var length = 0
    let succeeded = key.withBytes { key in
      unsafe key.withUnsafeBytes { key in
        unsafe message.withUnsafeBytes { message in
          // libcrypto takes a nil key for "the key of last time": an empty key needs an address.
          var nothing: UInt8 = 0
          return unsafe withUnsafePointer(to: &nothing) { nothing in
            let keyBytes = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing
            let messageBytes = unsafe message.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing
            return unsafe EVP_MAC_init(context, isKeyed ? nil : keyBytes, isKeyed ? 0 : key.count, nil) == 1
              && EVP_MAC_update(context, messageBytes, message.count) == 1
              && EVP_MAC_final(context, &code, &length, code.count) == 1
          }
        }
      }
    }
    guard succeeded, length == 32 else {
      contexts.forgetMAC()
      throw .libraryFailure
    }
    return code
  }
}

/// HKDF with SHA-256 (RFC 5869).
package enum HKDFSHA256 {
  /// The longest output: 255 blocks of 32 bytes.
  package static let maximumOutput = 255 * 32

  package static func derive(from key: SecretBytes, salt: [UInt8] = [], info: [UInt8], count: Int) throws(CipherError) -> SecretBytes {
    guard (1...maximumOutput).contains(count) else { throw .libraryFailure }
    // RFC 5869, section 2.2: an absent salt is a block of zeros, which is what an empty HMAC key is padded to.
    let extracted = try key.withBytes { key throws(CipherError) in
      SecretBytes(copying: try HMACSHA256.code(for: key, key: SecretBytes(copying: salt)))
    }
    var output: [UInt8] = []
    var block: [UInt8] = []
    var counter: UInt8 = 1
    defer { erase(&output); erase(&block) }
    while output.count < count {
      block = try HMACSHA256.code(for: block + info + [counter], key: extracted)
      output += block
      counter &+= 1
    }
    return SecretBytes(copying: Array(output.prefix(count)))
  }
}
