internal import Ciphers

/// How bytes are written in answers: the API modules have no ciphers of their own.
package enum WireText {
  package static func base64(_ bytes: [UInt8]) -> [UInt8] { Base64.standard.encode(bytes) }

  /// nil for anything but canonical padded standard base64.
  package static func decodeBase64(_ text: [UInt8]) -> [UInt8]? { Base64.standard.decode(text) }

  /// Lower case.
  package static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digit(byte >> 4))
      text.append(digit(byte & 15))
    }
    return text
  }

  /// nil when the text is not pairs of hexadecimal digits, of either case.
  package static func decodeHexadecimal(_ text: String) -> [UInt8]? {
    let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0)) }
  }

  package static func hexadecimalText(_ bytes: [UInt8]) -> String { String(decoding: hexadecimal(bytes), as: UTF8.self) }
}

extension EnvelopeV1 {
  /// The four texts of the wire form.
  package var base64: (iv: [UInt8], ciphertext: [UInt8], authTag: [UInt8], dataKeyCiphertext: [UInt8]) {
    (
      WireText.base64(iv), WireText.base64(ciphertext), WireText.base64(authTag), WireText.base64(dataKeyCiphertext)
    )
  }
}
