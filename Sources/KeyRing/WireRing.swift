package import Ciphers
package import SecretMemory

/// One key of the wire, and what may be told of it.
package struct WireKey: Sendable {
  package enum Origin: Sendable, Equatable {
    /// The environment, under this variable's name.
    case variable(String)
    case file(String)
    /// The caller of a test, or an operator for one request.
    case given
  }

  /// Of a file: 16 hexadecimal digits. Of the environment: the variable's name, since a hash of a weak text is a way to guess it.
  package let id: String
  package let origin: Origin
  /// Unix milliseconds; nil for what no file holds.
  package let madeAt: Int64?
  let key: FernetKey

  package init(_ text: SecretBytes, id: String = "", origin: Origin = .given, madeAt: Int64? = nil) {
    self.id = id
    self.origin = origin
    self.madeAt = madeAt
    key = FernetKey(secretText: text)
  }
}

/// The Fernet keys of the wire: one seals, all open. Fernet names no key, so opening tries each; the HMAC decides.
package struct WireRing: Sendable {
  /// nil: nothing can be sealed.
  package let primary: WireKey?
  package let retired: [WireKey]

  package init(primary: WireKey?, retired: [WireKey]) {
    self.primary = primary
    self.retired = retired
  }

  /// - Parameter texts: secret texts as an OpenHands agent server takes them, the primary first.
  package init(primary: SecretBytes, retired: [SecretBytes] = []) {
    self.init(primary: WireKey(primary), retired: retired.map { WireKey($0) })
  }

  package func seal(_ text: [UInt8], unixSeconds: UInt64) throws(CipherError) -> [UInt8] {
    guard let primary else { throw .libraryFailure }
    return try unsafe Fernet.seal(text.span.bytes, key: primary.key, unixSeconds: unixSeconds)
  }

  /// nil when no key opens the token.
  package func open(_ token: [UInt8]) -> SecretBytes? {
    if let primary, let text = try? Fernet.open(token, key: primary.key) { return text }
    for retired in retired {
      if let text = try? Fernet.open(token, key: retired.key) { return text }
    }
    return nil
  }
}
