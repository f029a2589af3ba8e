package import Ciphers
package import SecretMemory

/// A copy of the root key that only a passphrase opens, as a line of text that can be printed:
///
///     coffer-root-escrow-v1 <root key id> <log2 N> <r> <p> <base64 of salt> <base64 of nonce, key and tag> <check>
///
/// The key that seals is scrypt (RFC 7914) of the passphrase and the 16-byte salt, 32 bytes; AES-256-GCM with the AAD
/// `lp("coffer/root-escrow/v1") lp(root key id) uint32(log2 N) uint32(r) uint32(p) lp(salt)`. The check is the first 8 hexadecimal
/// digits of SHA-256 of all before: it finds a slip of the pen before a passphrase is doubted.
package struct RootEscrow: Sendable {
  package enum Failure: Error, Sendable, Equatable {
    /// Another file, or one that is cut off or has a slip in it.
    case notAnEscrow
    case newerFormat
    /// The passphrase is not the one, or the line was changed on purpose.
    case doesNotOpen
    case cipher
  }

  private static let prefix = "coffer-root-escrow-v"
  private static let format = "coffer-root-escrow-v1"
  private static let saltBytes = 16
  /// 128 MiB, about a third of a second.
  package static let usualCost = Scrypt.Cost(logarithm: 17, blockSize: 8, parallelism: 1)!

  /// Of the key that is in it.
  package let rootKeyID: String
  private let cost: Scrypt.Cost
  private let salt: [UInt8]
  private let sealed: [UInt8]

  /// Seals a root key under a passphrase.
  package init(of root: RootKey, passphrase: SecretBytes, cost: Scrypt.Cost = usualCost) throws(Failure) {
    rootKeyID = root.id
    self.cost = cost
    do {
      salt = try RandomBytes.generate(count: Self.saltBytes)
      let key = try Scrypt.derive(from: passphrase, salt: salt, cost: cost, count: AES256GCM.keyBytes)
      let aad = Self.authenticatedData(root.id, cost, salt)
      sealed = try root.key.withBytes { bytes throws(CipherError) in try AES256GCM.seal(bytes, key: key, authenticating: aad) }
    } catch { throw .cipher }
  }

  /// Reads the text form; blanks around it are ignored.
  package init(text: SecretBytes) throws(Failure) {
    let bytes = text.withBytes { text in unsafe text.withUnsafeBytes { unsafe Array($0) } }
    let words = bytes.split { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
    guard let first = words.first, first.hasPrefix(Self.prefix) else { throw .notAnEscrow }
    guard first == Self.format else { throw .newerFormat }
    guard words.count == 8, words[1].utf8.count == 16, words[1].utf8.allSatisfy(RandomText.alphabet.contains),
      let logarithm = UInt32(words[2]), let blockSize = UInt32(words[3]), let parallelism = UInt32(words[4]),
      let cost = Scrypt.Cost(logarithm: logarithm, blockSize: blockSize, parallelism: parallelism),
      let salt = Base64.standard.decode(Array(words[5].utf8)), salt.count == Self.saltBytes,
      let sealed = Base64.standard.decode(Array(words[6].utf8)),
      sealed.count == AES256GCM.nonceBytes + RootKey.bytes + AES256GCM.tagBytes,
      RootKey.check(Array(words[..<7].joined(separator: " ").utf8)) == Array(words[7].utf8)
    else { throw .notAnEscrow }
    rootKeyID = words[1]
    self.cost = cost
    self.salt = salt
    self.sealed = sealed
  }

  /// One line, ASCII.
  package var text: String {
    let body = [
      Self.format, rootKeyID, "\(cost.logarithm)", "\(cost.blockSize)", "\(cost.parallelism)",
      String(decoding: Base64.standard.encode(salt), as: UTF8.self), String(decoding: Base64.standard.encode(sealed), as: UTF8.self),
    ].joined(separator: " ")
    return body + " " + String(decoding: RootKey.check(Array(body.utf8)), as: UTF8.self) + "\n"
  }

  package func open(passphrase: SecretBytes) throws(Failure) -> RootKey {
    let key: SecretBytes
    do { key = try Scrypt.derive(from: passphrase, salt: salt, cost: cost, count: AES256GCM.keyBytes) } catch { throw .cipher }
    do {
      let aad = Self.authenticatedData(rootKeyID, cost, salt)
      return try RootKey(id: rootKeyID, key: AES256GCM.open(sealed, key: key, authenticating: aad))
    } catch { throw .doesNotOpen }
  }

  private static func authenticatedData(_ id: String, _ cost: Scrypt.Cost, _ salt: [UInt8]) -> [UInt8] {
    var data = LengthPrefixed()
    data.append("coffer/root-escrow/v1")
    data.append(id)
    data.append(cost.logarithm)
    data.append(cost.blockSize)
    data.append(cost.parallelism)
    data.append(salt)
    return data.bytes
  }
}
