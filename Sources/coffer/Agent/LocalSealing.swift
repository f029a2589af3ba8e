internal import Ciphers
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

/// What an agent's program does with the values of encrypted fields, in memory that is erased: the server sees envelopes.
struct LocalSealing {
  let client: AgentClient
  let scope: Scope

  /// Mints a data key for one field and seals `value` under it.
  func seal(_ value: SecretBytes, secret: String, field: String) throws -> EnvelopeV1 {
    let answer = try client.send("POST", "/agent/secrets/generate-data-key", .object(binding(secret, field)))
    guard let text = answer.data["dataKeyCiphertext"]?.string?.utf8, let bytes = Base64.standard.decode(text),
      let wrapped = WrappedDataKey(bytes: bytes), let key = Self.plaintextKey(in: answer.body)
    else { throw AgentFailure(.server, "the answer holds no data key") }
    do { return try EnvelopeV1.seal(value, under: key, wrapped: wrapped) } catch {
      throw AgentFailure(.server, "libcrypto refused to seal")
    }
  }

  /// Has the data key of an envelope unwrapped, which the server records, and opens it.
  func open(_ envelope: EnvelopeV1, secret: String, field: String) throws -> SecretBytes {
    var request = binding(secret, field)
    request["dataKeyCiphertext"] = .string(JSONString(utf8: Base64.standard.encode(envelope.dataKeyCiphertext)))
    let answer = try client.send("POST", "/agent/secrets/decrypt-data-key", .object(request))
    guard let key = Self.plaintextKey(in: answer.body) else { throw AgentFailure(.server, "the answer holds no data key") }
    do { return try envelope.open(with: key) } catch {
      throw AgentFailure(.server, "the envelope does not open with its data key: it was changed, or sealed in another way")
    }
  }

  /// The value of a field as the server gave it: opened when it is sealed.
  func value(of field: JSONObject, secret: String) throws -> SecretBytes {
    guard let name = field["fieldKey"]?.string?.text else { throw AgentFailure(.server, "the answer holds no field") }
    if let value = field["value"]?.string { return SecretBytes(copying: value.utf8) }
    let envelope: EnvelopeV1
    do { envelope = try EnvelopeV1(field["envelope"] ?? .null) } catch { throw AgentFailure(.server, "the answer holds no envelope") }
    return try open(envelope, secret: secret, field: name)
  }

  private func binding(_ secret: String, _ field: String) -> JSONObject {
    var object = JSONObject()
    object["scope"] = .string(JSONString(scope.kind))
    object["scopeId"] = .string(JSONString(scope.id))
    object["secretId"] = .string(JSONString(secret))
    object["fieldKey"] = .string(JSONString(field))
    return object
  }

  /// The key is taken from the bytes of the answer, so that no part of a parsed document has to be forgotten.
  private static func plaintextKey(in body: SecretBytes) -> SecretBytes? {
    var text = body.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe member("plaintextKey", of: $0) } } ?? []
    defer { erase(&text) }
    guard var key = Base64.standard.decode(text), key.count == AES256GCM.keyBytes else { return nil }
    defer { erase(&key) }
    return SecretBytes(copying: key)
  }

  /// The characters between the quotes of a text member that needs no escapes.
  private static func member(_ name: String, of bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    let quoted = Array("\"\(name)\"".utf8)
    guard bytes.count >= quoted.count,
      let start = (0...(bytes.count - quoted.count)).first(where: { offset in
        unsafe bytes[offset..<(offset + quoted.count)].elementsEqual(quoted)
      })
    else { return nil }
    var rest = unsafe bytes[(start + quoted.count)...].drop { $0 <= 0x20 }
    guard unsafe rest.popFirst() == UInt8(ascii: ":") else { return nil }
    unsafe rest = rest.drop { $0 <= 0x20 }
    guard unsafe rest.popFirst() == UInt8(ascii: "\"") else { return nil }
    return unsafe Array(rest.prefix { $0 != UInt8(ascii: "\"") })
  }
}
