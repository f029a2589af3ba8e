enum MediaType {
  static let json: StaticString = "application/json"
  static let text: StaticString = "text/plain; charset=utf-8"
  static let html: StaticString = "text/html; charset=utf-8"

  /// True for `application/json` and `application/*+json`, with or without parameters (spec section 1.1).
  static func isJSON(_ value: [UInt8]) -> Bool {
    if value.elementsEqual("application/json".utf8) { return true }
    let essence = value.prefix { $0 != UInt8(ascii: ";") }
    let text = String(decoding: essence, as: UTF8.self).lowercased()
    let trimmed = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
    guard trimmed.count == 1, let type = trimmed.first else { return false }
    return type == "application/json" || (type.hasPrefix("application/") && type.hasSuffix("+json"))
  }
}
