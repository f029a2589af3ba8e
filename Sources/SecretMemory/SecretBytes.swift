internal import CLibcrypto

/// Key material or a plaintext secret: held once, erased on last release, never printed.
///
/// Copies share one buffer. Empty is allowed. There is no `Codable`, `Hashable`, `Collection` or
/// `String` conversion, so `withBytes` is the one word to search for in review.
package struct SecretBytes: Sendable {
  // Unchecked: the buffer is written only by `fill`, inside `init`, before another thread can hold a reference.
  @safe @usableFromInline final class Storage: @unchecked Sendable {
    @usableFromInline let buffer: UnsafeMutableRawBufferPointer

    init(count: Int) {
      unsafe buffer = .allocate(byteCount: count, alignment: 16)
      unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
      if let base = unsafe buffer.baseAddress { unsafe OPENSSL_cleanse(base, buffer.count) }
      unsafe buffer.deallocate()
    }

    var count: Int { unsafe buffer.count }

    func fill<E: Error>(_ body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
      var span = unsafe buffer.mutableBytes
      try body(&span)
    }

    @inlinable func lend<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
      try body(unsafe buffer.bytes)
    }
  }

  private static let nothing = Storage(count: 0)

  @usableFromInline let storage: Storage

  /// No bytes; takes no memory.
  package init() { storage = Self.nothing }

  /// The number of bytes held.
  package var count: Int { storage.count }
  package var isEmpty: Bool { count == 0 }

  /// Allocates `count` zeroed bytes and lets `fill` write them in place.
  package init<E: Error>(count: Int, filling fill: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
    storage = Storage(count: count)
    try storage.fill(fill)
  }

  /// Whether both are one buffer, not only of the same content: found without looking at any byte.
  package func isSame(as other: SecretBytes) -> Bool { storage === other.storage }

  /// Copies `bytes`; erasing the source is up to the caller.
  package init(copying bytes: RawSpan) {
    storage = Storage(count: bytes.byteCount)
    storage.fill { target in
      unsafe target.withUnsafeMutableBytes { target in
        unsafe bytes.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
      }
    }
  }

  /// Copies `bytes`; the array itself is not erased.
  package init(copying bytes: [UInt8]) { self.init(copying: unsafe bytes.span.bytes) }

  /// The bytes without the line ends behind them, as text files and prompts have them.
  package var withoutLineEnd: SecretBytes {
    withBytes { bytes in
      var count = bytes.byteCount
      while count > 0, [0x0A, 0x0D].contains(unsafe bytes.unsafeLoad(fromByteOffset: count - 1, as: UInt8.self)) { count -= 1 }
      return SecretBytes(copying: bytes.extracting(first: count))
    }
  }

  /// Lends the bytes for the duration of `body`.
  @inlinable package func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try storage.lend(body)
  }
}

extension SecretBytes: Equatable {
  /// Compares in time that depends on the lengths only.
  package static func == (left: SecretBytes, right: SecretBytes) -> Bool {
    left.withBytes { a in right.withBytes { b in constantTimeEqual(a, b) } }
  }
}

/// Compares in time that depends on the lengths only.
package func constantTimeEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  guard left.byteCount > 0 else { return true }
  return unsafe left.withUnsafeBytes { a in
    unsafe right.withUnsafeBytes { b in unsafe CRYPTO_memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
  }
}

/// The same of arrays.
package func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  unsafe constantTimeEqual(left.span.bytes, right.span.bytes)
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<secret, \(count) bytes>" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: EmptyCollection()) }
}
