internal import StrictJSON

/// Conversions of the recorded server's lax mode (settings spec, section 4.2).
enum Lax {
  static func integer(_ value: JSONValue, _ rule: IntegerRule) throws(Validator.Invalid) -> JSONValue {
    let number = try whole(value)
    switch rule {
    case .any: break
    case .atLeast(let least): guard number.isAtLeast(least) else { throw Validator.Invalid() }
    case .above(let limit): guard number.isAtLeast(limit + 1) else { throw Validator.Invalid() }
    }
    return .number(number.json)
  }

  private static func whole(_ value: JSONValue) throws(Validator.Invalid) -> Whole {
    switch value {
    case .bool(let truth): return Whole(truth ? 1 : 0)
    case .number(let number):
      if let whole = Whole(numeral: number.text) { return whole }
      guard let double = number.double, let integer = Int64(exactly: double) else { throw Validator.Invalid() }
      return Whole(integer)
    case .string(let text):
      // A fraction of zeros is none: "7.0" is 7; "7.5" and "7." are not whole numbers, "7e0" is not a numeral here.
      let parts = try ungrouped(text.trimmed).split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 1 || (!parts[1].isEmpty && parts[1].allSatisfy { $0 == 0x30 }), let whole = Whole(numeral: parts[0]) else {
        throw Validator.Invalid()
      }
      return whole
    case .null, .array, .object: throw Validator.Invalid()
    }
  }

  /// Digits may be grouped by single underscores: "1_000".
  private static func ungrouped(_ text: [UInt8]) throws(Validator.Invalid) -> [UInt8] {
    func isDigit(_ index: Int) -> Bool { text.indices.contains(index) && (0x30...0x39).contains(text[index]) }
    for (index, byte) in text.enumerated() where byte == UInt8(ascii: "_") {
      guard isDigit(index - 1), isDigit(index + 1) else { throw Validator.Invalid() }
    }
    return text.filter { $0 != UInt8(ascii: "_") }
  }

  /// A decimal numeral in a text: no hexadecimal form, no name of a number.
  private static func decimal(_ text: JSONString) throws(Validator.Invalid) -> Double? {
    let numeral = try ungrouped(text.trimmed)
    guard numeral.allSatisfy({ (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }) else { return nil }
    return Double(String(decoding: numeral, as: UTF8.self))
  }

  static func number(_ value: JSONValue, _ rule: NumberRule) throws(Validator.Invalid) -> JSONValue {
    let number: Double?
    switch value {
    case .bool(let truth): number = truth ? 1 : 0
    case .number(let text): number = text.double
    case .string(let text): number = try decimal(text)
    case .null, .array, .object: number = nil
    }
    guard let number, number.isFinite else { throw Validator.Invalid() }
    let fits =
      switch rule {
      case .any: true
      case .atLeast(let least): number >= least
      case .above(let limit): number > limit
      case .between(let least, let most): number >= least && number <= most
      case .inside(let lower, let upper): number > lower && number < upper
      }
    guard fits else { throw Validator.Invalid() }
    // Swift prints the shortest text that reads back the same, with a fraction: 8.0.
    return .number(JSONNumber(validated: Array("\(number)".utf8)))
  }

  static func boolean(_ value: JSONValue) throws(Validator.Invalid) -> Bool {
    switch value {
    case .bool(let truth): return truth
    case .number(let number):
      if number.double == 0 { return false }
      if number.double == 1 { return true }
      throw Validator.Invalid()
    case .string(let text):
      switch text.text.lowercased() {
      case "true", "t", "yes", "y", "on", "1": return true
      case "false", "f", "no", "n", "off", "0": return false
      default: throw Validator.Invalid()
      }
    case .null, .array, .object: throw Validator.Invalid()
    }
  }

  static func truth(_ value: JSONValue) -> Bool {
    switch value {
    case .null: false
    case .bool(let truth): truth
    case .number(let number): number.double != 0
    case .string(let text): !text.utf8.isEmpty
    case .array(let elements): !elements.isEmpty
    case .object(let object): !object.isEmpty
    }
  }
}

extension JSONString {
  fileprivate var trimmed: [UInt8] {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    return utf8.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
  }
}

/// A whole number of any size, up to 4,300 digits.
private struct Whole {
  private let isNegative: Bool
  /// Without leading zeros.
  private let digits: [UInt8]

  private static let longest = 4300

  init(_ number: Int64) {
    isNegative = number < 0
    digits = Array(String(number.magnitude).utf8)
  }

  /// Reads a sign and digits; nil for anything else.
  init?(numeral: some Collection<UInt8>) {
    var rest = numeral[...]
    isNegative = rest.first == UInt8(ascii: "-")
    if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    guard !rest.isEmpty, rest.count <= Self.longest, rest.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    let significant = rest.drop { $0 == 0x30 }
    digits = significant.isEmpty ? [0x30] : Array(significant)
  }

  private var text: [UInt8] { isNegative && digits != [0x30] ? [UInt8(ascii: "-")] + digits : digits }
  var json: JSONNumber { JSONNumber(validated: text) }

  /// What does not fit 64 bits lies beyond every limit of the tables.
  func isAtLeast(_ limit: Int64) -> Bool { json.int64.map { $0 >= limit } ?? !isNegative }
}
