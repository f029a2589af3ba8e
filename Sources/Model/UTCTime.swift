package import StrictJSON

/// A moment in UTC, for documents and audit entries.
package struct UTCTime: Sendable, Equatable {
  package let unixMicroseconds: Int64

  package init(unixMicroseconds: Int64) { self.unixMicroseconds = unixMicroseconds }

  /// RFC 3339 with milliseconds: `2026-07-01T12:00:00.000Z`.
  package var text: String { text(fraction: microseconds / 1000, digits: 3) }
  /// RFC 3339 with microseconds, as `current_datetime` is printed.
  package var preciseText: String { text(fraction: microseconds, digits: 6) }

  private var seconds: Int64 { unixMicroseconds / 1_000_000 - (unixMicroseconds % 1_000_000 < 0 ? 1 : 0) }
  /// Of the second.
  private var microseconds: Int64 { unixMicroseconds % 1_000_000 + (unixMicroseconds % 1_000_000 < 0 ? 1_000_000 : 0) }

  private func text(fraction: Int64, digits: Int) -> String {
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let time = seconds - days * 86_400
    let (year, month, day) = Self.civil(days)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(32)
    func append(_ end: Unicode.Scalar) { bytes.append(UInt8(truncatingIfNeeded: end.value)) }
    /// Two digits.
    func append(_ number: Int64, _ end: Unicode.Scalar? = nil) {
      let number = UInt8(truncatingIfNeeded: number)
      bytes.append(0x30 + number / 10)
      bytes.append(0x30 + number % 10)
      if let end { append(end) }
    }
    if year > 9999 {
      bytes.append(contentsOf: String(year).utf8)
    } else {
      append(max(0, year) / 100)
      append(max(0, year) % 100)
    }
    append("-")
    append(month, "-")
    append(day, "T")
    append(time / 3600, ":")
    append(time / 60 % 60, ":")
    append(time % 60, ".")
    if digits == 6 {
      append(fraction / 10_000)
      append(fraction / 100 % 100)
    } else {
      bytes.append(UInt8(truncatingIfNeeded: 0x30 + fraction / 100))
    }
    append(fraction % 100, "Z")
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Days since 1970-01-01 to a date of the Gregorian calendar, by eras of 400 years that begin in March.
  private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}

extension UTCTime {
  /// Reads RFC 3339: `2026-07-01T12:00:00Z`, with any fraction, `Z` or an offset. nil for any other form.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.count <= 40 else { return nil }
    func number(_ range: Range<Int>) -> Int64? {
      bytes[range].reduce(Int64?(0)) { sum, byte in (0x30...0x39).contains(byte) ? sum.map { $0 * 10 + Int64(byte - 0x30) } : nil }
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), bytes[4] == 0x2D, bytes[7] == 0x2D,
      bytes[10] | 0x20 == UInt8(ascii: "t"), bytes[13] == 0x3A, bytes[16] == 0x3A, (1...12).contains(month), hour < 24, minute < 60,
      second < 60, (1...Self.days(of: month, in: year)).contains(day)
    else { return nil }
    var end = 19
    if bytes[end] == UInt8(ascii: ".") {
      end += 1
      while end < bytes.count, (0x30...0x39).contains(bytes[end]) { end += 1 }
      guard end > 20 else { return nil }
    }
    guard let offset = Self.offset(bytes[end...]) else { return nil }
    let digits = end > 20 ? min(6, end - 20) : 0
    let fraction = (digits..<6).reduce(digits > 0 ? number(20..<(20 + digits)) ?? 0 : 0) { value, _ in value * 10 }
    // Days from the start of the era of 400 years that begins in March.
    let shifted = year - (month <= 2 ? 1 : 0)
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    self.init(unixMicroseconds: (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction)
  }

  /// Seconds ahead of UTC: `Z`, or a sign with hours and minutes.
  private static func offset(_ text: ArraySlice<UInt8>) -> Int64? {
    let text = Array(text)
    if text.count == 1 { return text[0] | 0x20 == UInt8(ascii: "z") ? 0 : nil }
    guard text.count == 6, text[3] == 0x3A, [0x2B, 0x2D].contains(text[0]),
      [1, 2, 4, 5].allSatisfy({ (0x30...0x39).contains(text[$0]) })
    else { return nil }
    let hours = Int64(text[1] - 0x30) * 10 + Int64(text[2] - 0x30)
    let minutes = Int64(text[4] - 0x30) * 10 + Int64(text[5] - 0x30)
    guard hours < 24, minutes < 60 else { return nil }
    return (hours * 3600 + minutes * 60) * (text[0] == 0x2D ? -1 : 1)
  }

  private static func days(of month: Int64, in year: Int64) -> Int64 {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
  }
}

extension JSONValue {
  /// When something is to end, in Unix milliseconds: what has ended before it is made is a slip of whoever asks for it.
  package func end(_ pointer: String, after now: Int64) throws(Refusal) -> Int64 {
    guard let time = string.flatMap({ UTCTime($0.text) }), time.unixMicroseconds / 1000 > now else {
      throw .invalid(pointer, "an RFC 3339 time in the future")
    }
    return time.unixMicroseconds / 1000
  }
}
