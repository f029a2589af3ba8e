/// `cursor` (or `after`) and `limit` of a list. Both are plain: a percent sign or a plus is no part of any id or number.
struct AdminQuery {
  static let maximumLimit = 200

  var after: String?
  var limit = maximumLimit

  init(_ rawQuery: String) throws(AdminFailure) {
    var seen: Set<Substring> = []
    for part in rawQuery.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, seen.insert(pair[0]).inserted else { throw .invalid("Every parameter has one value and comes once.") }
      switch pair[0] {
      case "cursor", "after":
        guard after == nil, (1...64).contains(pair[1].utf8.count), pair[1].utf8.allSatisfy(Self.isIDByte) else {
          throw .invalid("cursor must be the one of an earlier answer.")
        }
        after = String(pair[1])
      case "limit":
        guard let number = Int(pair[1]), (1...Self.maximumLimit).contains(number) else {
          throw .invalid("limit must be a number from 1 to \(Self.maximumLimit).")
        }
        limit = number
      default: throw .invalid("The parameters are cursor and limit.")
      }
    }
  }

  /// `after` as a sequence number.
  func afterSequence() throws(AdminFailure) -> Int64 {
    guard let after else { return 0 }
    guard let number = Int64(after), number >= 0 else { throw .invalid("cursor must be the one of an earlier answer.") }
    return number
  }

  private static func isIDByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
  }
}
