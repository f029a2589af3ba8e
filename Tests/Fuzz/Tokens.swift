import Ciphers
import KeyRing
import SecretMemory
import StrictJSON

private let ring = WireRing(primary: SecretBytes(copying: Array("fuzz".utf8)))
private let keys = {
  do {
    return try TenantKeys(TenantKEK(tenant: "ten_1", id: Array(0..<16), version: 1, key: SecretBytes(copying: Array(0..<32))))
  } catch { preconditionFailure("libcrypto has no ciphers") }
}()
private let binding = DataKeyBinding(tenant: "ten_1", scope: "agent", scopeID: "agt_1", secretID: "s", fieldKey: "f")

/// Text that claims to be a token, a key or base64: none opens, none traps, canonical base64 writes back the same. And as the text of a token
/// and the head of a wrapped key, which open as what they were, and with a bit changed as nothing else.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  precondition(ring.open(bytes) == nil, "a token that nobody sealed")
  for alphabet in [Base64.standard, Base64.url] {
    if let decoded = alphabet.decode(bytes) { precondition(alphabet.encode(decoded) == bytes, "base64 that is not canonical") }
  }
  if let json = try? JSONValue.parse(bytes, limits: .settings), let envelope = try? EnvelopeV1(json) {
    precondition(
      envelope.json == json || envelope.json.object?.members.count == json.object?.members.count, "an envelope that lost a member")
  }
  if let wrapped = WrappedDataKey(bytes: bytes) {
    precondition(wrapped.id.count == 16 && wrapped.kekID.count == 16)
    precondition((try? keys.unwrap(wrapped, boundTo: binding)) == nil, "a data key that nobody wrapped")
  }
  _ = APIKeyToken(parsing: bytes)
  _ = try? RootKey(text: SecretBytes(copying: bytes))
  return token(of: bytes) + dataKey(of: bytes)
}

private func contents(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { $0.withUnsafeBytes { Array($0) } } }

private func token(of text: [UInt8]) -> CInt {
  guard var token = try? ring.seal(text, unixSeconds: 1_767_225_600) else { preconditionFailure("a text that cannot be sealed") }
  precondition(ring.open(token).map(contents) == text, "a token that opens as something else")
  token[Int(text.first ?? 0) * 7 % token.count] ^= 1 << ((text.last ?? 0) % 8)
  if let opened = ring.open(token) { precondition(contents(opened) == text, "a changed token that opens as something else") }
  return 0
}

private func dataKey(of bytes: [UInt8]) -> CInt {
  guard bytes.count >= 68 else { return 0 }
  let (key, id, nonce) = (Array(bytes[..<32]), Array(bytes[32..<48]), Array(bytes[48..<60]))
  let issuedAt = bytes[60..<68].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  guard let wrapped = try? keys.wrap(SecretBytes(copying: key), id: id, issuedAt: issuedAt, nonce: nonce, to: binding) else {
    preconditionFailure("a data key that cannot be wrapped")
  }
  guard let read = WrappedDataKey(bytes: wrapped.bytes) else { preconditionFailure("what was wrapped is not read") }
  precondition((try? keys.unwrap(read, boundTo: binding)).map(contents) == key, "a data key that opens as something else")
  precondition(read.id == id && read.issuedAt == issuedAt)
  var changed = wrapped.bytes
  changed[Int(bytes[0]) % changed.count] ^= 1 << (bytes[1] % 8)
  precondition(WrappedDataKey(bytes: changed).flatMap { try? keys.unwrap($0, boundTo: binding) } == nil, "a changed data key that opens")
  return 0
}
