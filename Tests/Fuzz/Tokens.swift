import Ciphers
import KeyRing
import SecretMemory
import StrictJSON

private let ring = WireRing(primary: SecretBytes(copying: Array("fuzz".utf8)))

/// Text that claims to be a token, a key or base64: none opens, none traps, canonical base64 writes back the same.
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
  if let wrapped = WrappedDataKey(bytes: bytes) { precondition(wrapped.id.count == 16 && wrapped.kekID.count == 16) }
  _ = APIKeyToken(parsing: bytes)
  _ = try? RootKey(text: SecretBytes(copying: bytes))
  return 0
}
