internal import StrictJSON

/// Conversions of the recorded server's lax mode (settings spec, section 4.2).
enum Lax {
  static func integer(_ value: JSONValue, _ rule: IntegerRule) throws(Validator.Invalid) -> JSONValue {
    let number = try whole(value)
    switch rule {
    case .any: break
    case .atLeast(let least): guard number >= least else { throw Validator.Invalid() }
    case .above(let limit): guard number > limit else { throw Validator.Invalid() }
    }
    return .number(JSONNumber(number))
  }

  private static func whole(_ value: JSONValue) throws(Validator.Invalid) -> Int64 {
    switch value {
    case .bool(let truth): return truth ? 1 : 0
    case .number(let number):
      if let integer = number.int64 { return integer }
      guard let double = number.double, let integer = Int64(exactly: double) else { throw Validator.Invalid() }
      return integer
    case .string(let text):
      let trimmed = text.trimmed
      if let integer = Int64(trimmed) { return integer }
      // A fraction of zeros is none: "7.0" is 7, "7.5" is not a whole number, "7e0" is not a numeral here.
      let parts = trimmed.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[1].utf8.allSatisfy({ $0 == 0x30 }), let integer = Int64(parts[0]) else { throw Validator.Invalid() }
      return integer
    case .null, .array, .object: throw Validator.Invalid()
    }
  }

  static func number(_ value: JSONValue, _ rule: NumberRule) throws(Validator.Invalid) -> JSONValue {
    let number: Double?
    switch value {
    case .bool(let truth): number = truth ? 1 : 0
    case .number(let text): number = text.double
    case .string(let text): number = Double(text.trimmed)
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
  fileprivate var trimmed: String {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    return String(decoding: utf8.drop(while: isBlank).reversed().drop(while: isBlank).reversed(), as: UTF8.self)
  }
}
