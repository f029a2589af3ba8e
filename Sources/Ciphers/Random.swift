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
