internal import StrictJSON

/// JSON as an agent server writes its files: indented by two, everything but ASCII escaped (settings spec, section 11.1).
enum IndentedJSON {
  static func text(_ value: JSONValue) -> [UInt8] {
    var bytes: [UInt8] = []
    append(value, depth: 0, to: &bytes)
    return bytes
  }

  private static func append(_ value: JSONValue, depth: Int, to bytes: inout [UInt8]) {
    switch value {
    case .null, .bool, .number: bytes += value.serialized()
    case .string(let text): append(text, to: &bytes)
    case .array(let elements):
      if elements.isEmpty { return bytes.append(contentsOf: "[]".utf8) }
      append("[", "]", elements, depth, to: &bytes) { append($0, depth: depth + 1, to: &$1) }
    case .object(let object):
      if object.isEmpty { return bytes.append(contentsOf: "{}".utf8) }
      append("{", "}", object.members, depth, to: &bytes) { member, bytes in
        append(member.name, to: &bytes)
        bytes += ": ".utf8
        append(member.value, depth: depth + 1, to: &bytes)
      }
    }
  }

  private static func append<Part>(
    _ start: String, _ end: String, _ parts: [Part], _ depth: Int, to bytes: inout [UInt8], _ part: (Part, inout [UInt8]) -> Void
  ) {
    func line(_ depth: Int) -> [UInt8] { [0x0A] + [UInt8](repeating: 0x20, count: depth * 2) }
    bytes += start.utf8
    for (index, element) in parts.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes += line(depth + 1)
      part(element, &bytes)
    }
    bytes += line(depth) + Array(end.utf8)
  }

  private static func append(_ text: JSONString, to bytes: inout [UInt8]) {
    let literal = JSONValue.string(text).serialized()
    if literal.allSatisfy({ $0 < 0x80 }) { return bytes.append(contentsOf: literal) }
    for unit in String(decoding: literal, as: UTF8.self).utf16 {
      if unit < 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: unit))
      } else {
        let digits = String(unit, radix: 16)
        bytes += Array("\\u".utf8) + [UInt8](repeating: 0x30, count: 4 - digits.utf8.count) + Array(digits.utf8)
      }
    }
  }
}
