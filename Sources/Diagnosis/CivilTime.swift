/// Dates as texts have them, as numbers.
package enum CivilTime {
  /// Unix milliseconds of an audit entry's time, `2026-07-01T12:00:00.000Z`; nil for another form.
  package static func milliseconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    let form = Array("0000-00-00T00:00:00.000Z".utf8)
    guard bytes.count == form.count else { return nil }
    var numbers: [Int64] = [0]
    for (byte, wanted) in zip(bytes, form) {
      if wanted == UInt8(ascii: "0") {
        guard (0x30...0x39).contains(byte) else { return nil }
        numbers[numbers.count - 1] = numbers[numbers.count - 1] * 10 + Int64(byte - 0x30)
      } else {
        guard byte == wanted else { return nil }
        numbers.append(0)
      }
    }
    guard (1...12).contains(numbers[1]), (1...31).contains(numbers[2]) else { return nil }
    let seconds = days(numbers[0], numbers[1], numbers[2]) * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
    return seconds * 1000 + numbers[6]
  }

  /// Days since 1970-01-01 of a date of the Gregorian calendar, by eras of 400 years that begin in March. Years from 1 on.
  static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let yearOfEra = shifted % 400
    return shifted / 400 * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
