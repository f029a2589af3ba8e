import Ciphers
import HTTPMessages
import SecretMemory

@testable import SocketRelay

/// Any bytes from a client or an agent server: heads and frames are read whole, or not at all, however they are cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if case .handshake(let handshake) = Handshake.read(bytes[...]) {
    precondition(handshake.target.rawPath.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "a path that is not printable")
    precondition(
      Handshake.request("http://localhost/", host: "localhost", nonce: handshake.nonce, offers: handshake.offers, key: nil)
        .split(separator: 0x0A).allSatisfy { !$0.dropLast().contains(0x0D) && !$0.contains(0) },
      "what goes on to the agent server has a line more than was meant")
  }
  _ = HandshakeReply.read(bytes[...], nonce: Array("dGhlIHNhbXBsZSBub25jZQ==".utf8))
  if case .key(let key, let length) = KeyFrame.read(bytes[...]) {
    precondition(length <= bytes.count && key.count <= KeyFrame.maximum, "a key longer than its frame")
  }
  // The same frames, whole and byte by byte.
  var (whole, cut) = (FrameTracker(), FrameTracker())
  whole.take(bytes)
  for byte in bytes { cut.take(CollectionOfOne(byte)) }
  precondition(whole.isBetweenFrames == cut.isBetweenFrames && whole.isLost == cut.isLost && whole.hasClosed == cut.hasClosed)
  return 0
}
