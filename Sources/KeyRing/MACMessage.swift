internal import Ciphers

/// The columns of a row in the order in which its MAC covers them. The kind and the presence of each are part of it.
///
/// Not copyable, so that a chain of columns is written into one piece of memory.
package struct MACMessage: ~Copyable {
  private var message = LengthPrefixed()

  package init(_ table: StaticString) {
    message.append("coffer/row-mac/v1")
    message.append(table)
  }

  var bytes: [UInt8] { message.bytes }

  /// SHA-256 of the columns, 32 bytes: the same under every key.
  package var digest: [UInt8] { SHA256.digest(message.bytes) }

  package consuming func text(_ text: String) -> MACMessage {
    message.append(text)
    return self
  }

  package consuming func optionalText(_ text: String?) -> MACMessage {
    message.appendRaw(text == nil ? 0 : 1)
    if let text { message.append(text) }
    return self
  }

  package consuming func integer(_ number: Int64) -> MACMessage {
    message.append(UInt64(bitPattern: number))
    return self
  }

  package consuming func optionalInteger(_ number: Int64?) -> MACMessage {
    message.appendRaw(number == nil ? 2 : 3)
    if let number { message.append(UInt64(bitPattern: number)) }
    return self
  }

  package consuming func unsigned(_ number: UInt64) -> MACMessage {
    message.append(number)
    return self
  }

  package consuming func bytes(_ bytes: [UInt8]) -> MACMessage {
    message.append(bytes)
    return self
  }

  /// A mark that only some rows have, as its last column.
  package consuming func text(_ text: String, if isThere: Bool) -> MACMessage { isThere ? self.text(text) : self }
}
