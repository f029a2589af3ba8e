/// A moment in UTC, for documents and audit entries.
package struct UTCTime: Sendable, Equatable {
  package let unixMicroseconds: Int64

  package init(unixMicroseconds: Int64) { self.unixMicroseconds = unixMicroseconds }

  /// RFC 3339 with milliseconds: `2026-07-01T12:00:00.000Z`.
  package var text: String { text(fraction: microseconds / 1000, digits: 3) }
  /// RFC 3339 with microseconds, as `current_datetime` is printed.
  package var preciseText: String { text(fraction: microseconds, digits: 6) }

  private var seconds: Int64 { Int64((Double(unixMicroseconds) / 1_000_000).rounded(.down)) }
  private var microseconds: Int64 { unixMicroseconds - seconds * 1_000_000 }

  private func text(fraction: Int64, digits: Int) -> String {
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let time = seconds - days * 86_400
    let (year, month, day) = Self.civil(days)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(32)
    func append(_ number: Int64, _ width: Int, _ end: Unicode.Scalar) {
      var divisor: Int64 = 1
      for _ in 1..<width { divisor *= 10 }
      while number / divisor > 9 { divisor *= 10 }
      while divisor > 0 {
        bytes.append(UInt8(0x30 + number / divisor % 10))
        divisor /= 10
      }
      bytes.append(UInt8(truncatingIfNeeded: end.value))
    }
    append(max(0, year), 4, "-")
    append(month, 2, "-")
    append(day, 2, "T")
    append(time / 3600, 2, ":")
    append(time / 60 % 60, 2, ":")
    append(time % 60, 2, ".")
    append(fraction, digits, "Z")
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
