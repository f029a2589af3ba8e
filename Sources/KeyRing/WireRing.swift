package import Ciphers
package import SecretMemory

/// The Fernet keys of the wire: one seals, all open. Fernet names no key, so opening tries each; the HMAC decides.
package struct WireRing: Sendable {
  private let primary: FernetKey
  private let retired: [FernetKey]

  /// - Parameter texts: secret texts as an OpenHands agent server takes them, the primary first.
  package init(primary: SecretBytes, retired: [SecretBytes] = []) {
    self.primary = FernetKey(secretText: primary)
    self.retired = retired.map(FernetKey.init(secretText:))
  }

  package func seal(_ text: [UInt8], unixSeconds: UInt64) throws(CipherError) -> [UInt8] {
    try unsafe Fernet.seal(text.span.bytes, key: primary, unixSeconds: unixSeconds)
  }

  /// nil when no key opens the token.
  package func open(_ token: [UInt8]) -> SecretBytes? {
    for key in [primary] + retired {
      if let text = try? Fernet.open(token, key: key) { return text }
    }
    return nil
  }
}
