/// What a document may cost. Everything is checked before memory is spent on it.
package struct JSONLimits: Sendable {
  /// Bytes of the whole text.
  package var bytes: Int
  /// Nesting of arrays and objects.
  package var depth: Int
  /// Array elements and object members in the whole document.
  package var members: Int

  package init(bytes: Int, depth: Int, members: Int) {
    self.bytes = bytes
    self.depth = depth
    self.members = members
  }

  /// The settings dialect: 1 MiB, 64 levels, 10,000 members.
  package static let settings = JSONLimits(bytes: 1 << 20, depth: 64, members: 10_000)
  /// The scoped dialect: 1 MiB, 16 levels, 10,000 members.
  package static let scoped = JSONLimits(bytes: 1 << 20, depth: 16, members: 10_000)
}

/// Why a text is not accepted. No case carries any of the text.
package struct JSONError: Error, Equatable {
  package enum Reason: Sendable, Equatable, CaseIterable {
    case empty, syntax, encoding, duplicateName, loneSurrogate, trailingText, tooLarge, tooDeep, tooManyMembers
  }

  package var reason: Reason
  /// Byte offset of the first byte that cannot be accepted.
  package var offset: Int

  package init(_ reason: Reason, at offset: Int) {
    self.reason = reason
    self.offset = offset
  }

  /// For people: lower case, no full stop.
  package var message: String {
    switch reason {
    case .empty: "expected a value"
    case .syntax: "not JSON by RFC 8259"
    case .encoding: "not valid UTF-8"
    case .duplicateName: "a member name is repeated"
    case .loneSurrogate: "an escape stands for half a character"
    case .trailingText: "text after the value"
    case .tooLarge: "the text is too long"
    case .tooDeep: "nested too deeply"
    case .tooManyMembers: "too many members"
    }
  }
}
