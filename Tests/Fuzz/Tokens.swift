import Ciphers
import KeyRing
import SecretMemory

private let ring = WireRing(primary: SecretBytes(copying: Array("fuzz".utf8)))

/// Text that claims to be a token, a key or base64: none opens, none traps, canonical base64 writes back the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  precondition(ring.open(bytes) == nil, "a token that nobody sealed")
  for alphabet in [Base64.standard, Base64.url] {
    if let decoded = alphabet.decode(bytes) { precondition(alphabet.encode(decoded) == bytes, "base64 that is not canonical") }
  }
  _ = APIKeyToken(parsing: bytes)
  _ = try? RootKey(text: SecretBytes(copying: bytes))
  return 0
}
