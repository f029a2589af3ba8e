/// A JSON value as it was written: numbers keep their text, objects their order.
package enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case number(JSONNumber)
  case string(JSONString)
  case array([JSONValue])
  case object(JSONObject)
}

/// Text as UTF-8 bytes, compared by bytes and not by Unicode equivalence.
package struct JSONString: Sendable, Hashable, ExpressibleByStringLiteral {
  package var utf8: [UInt8]

  package init(utf8: [UInt8]) { self.utf8 = utf8 }
  package init(_ text: String) { utf8 = Array(text.utf8) }
  package init(stringLiteral text: StaticString) {
    utf8 = unsafe Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// The text as a Swift string. For names and messages; values stay bytes.
  package var text: String { String(decoding: utf8, as: UTF8.self) }
}

/// A number as its source text (RFC 8259, section 6), so that 1.0 stays 1.0 and large integers stay whole.
package struct JSONNumber: Sendable, Equatable {
  package let text: [UInt8]

  /// `text` must be a number by the RFC's grammar; the parser and the integer initialiser guarantee it.
  package init(validated text: [UInt8]) { self.text = text }
  package init(_ value: some BinaryInteger) { text = Array(String(value).utf8) }

  /// The value when the text is an integer (no fraction, no exponent) that fits.
  package var int64: Int64? { Int64(String(decoding: text, as: UTF8.self)) }
  /// The nearest double.
  package var double: Double? { Double(String(decoding: text, as: UTF8.self)) }
}

extension JSONValue {
  package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  package var string: JSONString? { if case .string(let value) = self { value } else { nil } }
  package var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
  package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  package var isNull: Bool { self == .null }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  package init(stringLiteral text: StaticString) { self = .string(JSONString(stringLiteral: text)) }
  package init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(nilLiteral: ()) { self = .null }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (JSONString, JSONValue)...) {
    self = .object(JSONObject(uniqueMembers: elements.map { JSONObject.Member(name: $0.0, value: $0.1) }))
  }
}
