package import Ciphers
internal import SecretMemory

/// The root keys that a process works with: one wraps and signs. While one takes the place of another the other is known too,
/// since readers stand on both sides of the change; it only opens and verifies.
package struct RootKeys: Sendable {
  package let signing: RootKey
  package let other: RootKey?

  package init(_ signing: RootKey, other: RootKey? = nil) {
    self.signing = signing
    self.other = other
  }

  /// The key of that id, to open what it wrapped; nil when it is neither.
  package func key(_ id: String) -> RootKey? { signing.id == id ? signing : other.flatMap { $0.id == id ? $0 : nil } }

  package var rowProofs: RowProofs { RowProofs(signing: signing.rowProof, other: other?.rowProof) }

  /// Whether one of them has made the MAC of a row.
  package func verify(rowMAC mac: [UInt8], of message: borrowing MACMessage) throws(CipherError) -> Bool {
    try rowProofs.verify(mac, of: message)
  }

  func verify(auditMAC mac: [UInt8], of hash: [UInt8]) -> Bool {
    (try? anyone { key throws(CipherError) in constantTimeEqual(try key.auditMAC(hash), mac) }) ?? false
  }

  package func verify(keyCheck: [UInt8], storeID: [UInt8]) -> Bool {
    made(keyCheck) { key throws(CipherError) in try key.keyCheck(storeID: storeID) }
  }

  /// Whether `bytes` is what one of them makes.
  func made(_ bytes: [UInt8], _ make: (RootKey) throws(CipherError) -> [UInt8]) -> Bool {
    (try? anyone { key throws(CipherError) in constantTimeEqual(try make(key), bytes) }) ?? false
  }

  private func anyone(_ holds: (RootKey) throws(CipherError) -> Bool) throws(CipherError) -> Bool {
    if try holds(signing) { return true }
    guard let other else { return false }
    return try holds(other)
  }
}
