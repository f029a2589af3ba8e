package import Ciphers
package import SecretMemory
package import StrictJSON

/// A value that its client sealed (scoped spec, section 4.4): AES-256-GCM under a one-time data key, without additional
/// data, since the binding is carried by the wrapped key. Coffer stores it and never opens it; the command line does.
package struct EnvelopeV1: Sendable, Equatable {
  package static let ivBytes = 12
  package static let tagBytes = 16
  package static let maximumCiphertext = 64 << 10

  package var iv: [UInt8]
  package var ciphertext: [UInt8]
  package var authTag: [UInt8]
  /// As it came: whether these are 110 bytes of a key that opens is judged apart.
  package var dataKeyCiphertext: [UInt8]

  package init(iv: [UInt8], ciphertext: [UInt8], authTag: [UInt8], dataKeyCiphertext: [UInt8]) {
    self.iv = iv
    self.ciphertext = ciphertext
    self.authTag = authTag
    self.dataKeyCiphertext = dataKeyCiphertext
  }

  /// Why a JSON value is no envelope. `member` is nil when it concerns the whole.
  package enum Malformed: Error, Sendable, Equatable {
    case notAnObject
    case missing(member: String)
    /// Another type, or a version that is not the integer 1.
    case wrongType(member: String)
    /// Not canonical padded standard base64.
    case notBase64(member: String)
    case wrongLength(member: String)
    /// A member of no envelope: its name only, since its value may be what should have been sealed.
    case unknownMember
  }

  private static let members: Set<JSONString> = ["version", "iv", "ciphertext", "authTag", "dataKeyCiphertext"]

  /// Reads the wire form. Every member is needed and no other is allowed.
  package init(_ json: JSONValue) throws(Malformed) {
    guard let object = json.object else { throw .notAnObject }
    guard object.members.allSatisfy({ Self.members.contains($0.name) }) else { throw .unknownMember }
    guard let version = object["version"] else { throw .missing(member: "version") }
    guard version.number?.text == [UInt8(ascii: "1")] else { throw .wrongType(member: "version") }
    iv = try Self.bytes(object, "iv", Self.ivBytes...Self.ivBytes)
    ciphertext = try Self.bytes(object, "ciphertext", 0...Self.maximumCiphertext)
    authTag = try Self.bytes(object, "authTag", Self.tagBytes...Self.tagBytes)
    dataKeyCiphertext = try Self.bytes(object, "dataKeyCiphertext", 1...1024)
  }

  private static func bytes(_ object: JSONObject, _ member: JSONString, _ lengths: ClosedRange<Int>) throws(Malformed) -> [UInt8] {
    guard let value = object[member] else { throw .missing(member: member.text) }
    guard let text = value.string else { throw .wrongType(member: member.text) }
    guard let bytes = Base64.standard.decode(text.utf8) else { throw .notBase64(member: member.text) }
    guard lengths.contains(bytes.count) else { throw .wrongLength(member: member.text) }
    return bytes
  }

  /// The wire form.
  package var json: JSONValue {
    func text(_ bytes: [UInt8]) -> JSONValue { .string(JSONString(utf8: Base64.standard.encode(bytes))) }
    return [
      "version": 1, "iv": text(iv), "ciphertext": text(ciphertext), "authTag": text(authTag), "dataKeyCiphertext": text(dataKeyCiphertext),
    ]
  }

  /// SHA-256 over the content without the wrapped key, so that wrapping again keeps it: 32 bytes (scoped spec, section 6.4).
  package var digest: [UInt8] {
    var message = LengthPrefixed()
    message.append("scoped-secrets/envelope/v1")
    message.append(UInt32(1))
    for part in [iv, ciphertext, authTag] { message.append(part) }
    return SHA256.digest(message.bytes)
  }

  /// Seals `value` under a data key, as a client does: fresh random iv, no additional data.
  package static func seal(_ value: SecretBytes, under key: SecretBytes, wrapped: WrappedDataKey) throws(CipherError) -> EnvelopeV1 {
    let sealed = try value.withBytes { bytes throws(CipherError) in try AES256GCM.seal(bytes, key: key, authenticating: []) }
    return EnvelopeV1(
      iv: Array(sealed.prefix(ivBytes)), ciphertext: Array(sealed.dropFirst(ivBytes).dropLast(tagBytes)),
      authTag: Array(sealed.suffix(tagBytes)), dataKeyCiphertext: wrapped.bytes)
  }

  /// Opens it with the data key, as a client does.
  package func open(with key: SecretBytes) throws(CipherError) -> SecretBytes {
    try AES256GCM.open(ciphertext: ciphertext[...], nonce: iv[...], tag: authTag[...], key: key, authenticating: [])
  }
}
