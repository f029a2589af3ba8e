package import Ciphers
internal import SecretMemory

/// Makes and checks the MACs of tenants', keys' and the structure's rows. It opens nothing, and no other key follows from it: a
/// process that has dropped its root key may keep it.
struct RowProof: Sendable {
  let key: SecretBytes

  /// 32 bytes.
  func mac(_ message: borrowing MACMessage) throws(CipherError) -> [UInt8] { try HMACSHA256.code(for: message.bytes, key: key) }
}

/// The proofs of the root keys that a process works with, in the order of `RootKeys`.
package struct RowProofs: Sendable {
  let signing: RowProof
  let other: RowProof?

  /// Whether one of them has made the MAC of a row.
  package func verify(_ mac: [UInt8], of message: borrowing MACMessage) throws(CipherError) -> Bool {
    let message = message.bytes
    if try holds(mac, message, signing) { return true }
    guard let other else { return false }
    return try holds(mac, message, other)
  }

  private func holds(_ mac: [UInt8], _ message: [UInt8], _ proof: RowProof) throws(CipherError) -> Bool {
    constantTimeEqual(try HMACSHA256.code(for: message, key: proof.key), mac)
  }
}
