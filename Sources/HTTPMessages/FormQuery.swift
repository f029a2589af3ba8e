extension RequestTarget {
  /// The parameters of the query in their order, decoded as a form (WHATWG URL, section 5.1): `+` is a blank.
  package var queryParameters: [(name: String, value: String)] {
    rawQuery.utf8.split(separator: UInt8(ascii: "&")).map { part in
      let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      // What is no UTF-8 is repaired: it is found nowhere.
      return (
        String(decoding: Self.formDecoded(pair[0]), as: UTF8.self),
        pair.count > 1 ? String(decoding: Self.formDecoded(pair[1]), as: UTF8.self) : ""
      )
    }
  }

  /// The last value of a parameter; nil when absent.
  package func queryValue(_ name: String) -> String? { queryParameters.last { $0.name == name }?.value }

  private static func formDecoded(_ text: Substring.UTF8View) -> [UInt8] {
    var result: [UInt8] = []
    var bytes = Array(text)[...]
    while let byte = bytes.popFirst() {
      if byte == UInt8(ascii: "+") {
        result.append(0x20)
      } else if byte == UInt8(ascii: "%"), bytes.count >= 2,
        let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
      {
        result.append(value)
        bytes = bytes.dropFirst(2)
      } else {
        result.append(byte)
      }
    }
    return result
  }
}
