extension RequestTarget {
  /// The last value of a parameter of the query, decoded as a form (WHATWG URL, section 5.1): `+` is a blank. nil when absent.
  package func queryValue(_ name: String) -> String? {
    var found: String?
    for part in rawQuery.utf8.split(separator: UInt8(ascii: "&")) {
      let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = pair.first, Self.formDecoded(first).elementsEqual(name.utf8) else { continue }
      // What is no UTF-8 is repaired: it is found nowhere.
      found = String(decoding: pair.count > 1 ? Self.formDecoded(pair[1]) : [], as: UTF8.self)
    }
    return found
  }

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
