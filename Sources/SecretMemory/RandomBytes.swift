internal import CLibcrypto

/// The system's random source through libcrypto, which seeds itself from the kernel and again after a fork.
package enum RandomBytes {
  /// No random bytes could be had.
  package struct Failure: Error {}

  /// `count` random bytes that may be public: nonces, ids.
  package static func bytes(count: Int) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard let length = Int32(exactly: count), unsafe RAND_bytes(&bytes, length) == 1 else { throw Failure() }
    return bytes
  }
}

extension SecretBytes {
  /// `count` random bytes that stay secret: keys.
  package static func random(count: Int) throws(RandomBytes.Failure) -> SecretBytes {
    guard let length = Int32(exactly: count) else { throw RandomBytes.Failure() }
    return try SecretBytes(count: count) { bytes throws(RandomBytes.Failure) in
      let result = unsafe bytes.withUnsafeMutableBytes { unsafe RAND_priv_bytes($0.baseAddress, length) }
      guard result == 1 else { throw RandomBytes.Failure() }
    }
  }
}

/// Overwrites `bytes` in a way the compiler may not leave out. For plaintext that had to sit in an array.
package func erase(_ bytes: inout [UInt8]) {
  unsafe bytes.withUnsafeMutableBytes { buffer in
    if let base = buffer.baseAddress { unsafe OPENSSL_cleanse(base, buffer.count) }
  }
}

/// Overwrites `buffer` in a way the compiler may not leave out.
package func erase(_ buffer: UnsafeMutableRawBufferPointer) {
  if let base = buffer.baseAddress { unsafe OPENSSL_cleanse(base, buffer.count) }
}
