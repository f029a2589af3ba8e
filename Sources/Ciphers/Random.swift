package import SecretMemory

extension RandomBytes {
  /// Public random bytes, with the failure as a cipher's.
  package static func generate(count: Int) throws(CipherError) -> [UInt8] {
    do { return try bytes(count: count) } catch { throw .libraryFailure }
  }
}

extension SecretBytes {
  /// Secret random bytes, with the failure as a cipher's.
  package static func generate(count: Int) throws(CipherError) -> SecretBytes {
    do { return try random(count: count) } catch { throw .libraryFailure }
  }
}

/// Random text of the 62 ASCII letters and digits.
package enum RandomText {
  package static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

  /// `count` characters, each of the 62 equally likely: bytes of 248 and above are drawn again.
  package static func base62(count: Int) throws(CipherError) -> String {
    String(decoding: try base62Bytes(count: count), as: UTF8.self)
  }

  package static func base62Bytes(count: Int) throws(CipherError) -> [UInt8] {
    var text: [UInt8] = []
    while text.count < count {
      for byte in try RandomBytes.generate(count: count) where byte < 248 && text.count < count { text.append(alphabet[Int(byte % 62)]) }
    }
    return text
  }
}

extension RandomText {
  private static let crockford = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

  /// A new ULID in lower case: 26 characters of Crockford's base 32, 48 bits of Unix milliseconds and 80 random ones.
  package static func ulid(at milliseconds: Int64) throws(CipherError) -> String {
    let time = UInt64(clamping: milliseconds)
    return base32(
      stride(from: 40, through: 0, by: -8).map { UInt8(truncatingIfNeeded: time >> UInt64($0)) } + (try RandomBytes.generate(count: 10)))
  }

  /// 16 bytes as a number in Crockford's base 32, lower case: 26 characters.
  package static func base32(_ bytes: [UInt8]) -> String {
    var (high, low) = bytes.prefix(16).reduce((UInt64(0), UInt64(0))) { number, byte in
      (number.0 << 8 | number.1 >> 56, number.1 << 8 | UInt64(byte))
    }
    var text = [UInt8](repeating: 0, count: 26)
    for index in text.indices.reversed() {
      text[index] = crockford[Int(low & 31)]
      (high, low) = (high >> 5, low >> 5 | high << 59)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
