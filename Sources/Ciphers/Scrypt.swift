internal import CLibcrypto
package import SecretMemory

/// The password-based key derivation scrypt (RFC 7914), for the few keys that a person must be able to remember.
package enum Scrypt {
  /// What a derivation costs: `128 · blockSize · 2^logarithm` bytes of memory, gone through `parallelism` times.
  package struct Cost: Sendable, Equatable {
    /// Of N, to the base 2.
    package let logarithm: UInt32
    /// r.
    package let blockSize: UInt32
    /// p.
    package let parallelism: UInt32

    /// nil beyond 1 GiB or 16 passes: a file that is only read must not take the machine down.
    package init?(logarithm: UInt32, blockSize: UInt32, parallelism: UInt32) {
      guard (1...20).contains(logarithm), (1...8).contains(blockSize), (1...16).contains(parallelism) else { return nil }
      self.logarithm = logarithm
      self.blockSize = blockSize
      self.parallelism = parallelism
    }
  }

  /// - Parameter count: bytes of the result.
  package static func derive(from passphrase: SecretBytes, salt: [UInt8], cost: Cost, count: Int) throws(CipherError) -> SecretBytes {
    try SecretBytes(count: count) { result throws(CipherError) in
      let memory = 128 * UInt64(cost.blockSize) * (UInt64(1) << UInt64(cost.logarithm)) + 16 << 20
      let done = passphrase.withBytes { passphrase in
        unsafe passphrase.withUnsafeBytes { passphrase in
          unsafe result.withUnsafeMutableBytes { result in
            unsafe EVP_PBE_scrypt(
              passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count, salt, salt.count,
              UInt64(1) << UInt64(cost.logarithm), UInt64(cost.blockSize), UInt64(cost.parallelism), memory,
              result.baseAddress?.assumingMemoryBound(to: UInt8.self), result.count)
          }
        }
      }
      guard done == 1 else { throw .libraryFailure }
    }
  }
}
