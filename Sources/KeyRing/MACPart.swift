/// One column under a row MAC. The kind and the presence are part of what is authenticated.
package enum MACPart: Sendable {
  case text(String)
  case optionalText(String?)
  case integer(Int64)
  case optionalInteger(Int64?)
  case unsigned(UInt64)
  case bytes([UInt8])

  func append(to message: inout LengthPrefixed) {
    switch self {
    case .text(let text): message.append(text)
    case .optionalText(nil): message.appendRaw([0])
    case .optionalText(let text?):
      message.appendRaw([1])
      message.append(text)
    case .integer(let number): message.append(UInt64(bitPattern: number))
    case .optionalInteger(nil): message.appendRaw([2])
    case .optionalInteger(let number?):
      message.appendRaw([3])
      message.append(UInt64(bitPattern: number))
    case .unsigned(let number): message.append(number)
    case .bytes(let bytes): message.append(bytes)
    }
  }

  static func message(_ parts: [MACPart]) -> [UInt8] {
    var message = LengthPrefixed()
    message.append("coffer/row-mac/v1")
    for part in parts { part.append(to: &message) }
    return message.bytes
  }
}
