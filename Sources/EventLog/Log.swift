package import Configuration
internal import Glibc
internal import Model
internal import StrictJSON

/// One line per event on a descriptor, standard error as a rule: JSON, or plain text on a terminal.
package struct Log: Sendable {
  private let descriptor: Int32
  private let isText: Bool
  private let level: Configuration.LogLevel
  /// Unix milliseconds.
  let now: @Sendable () -> Int64

  package init(
    format: Configuration.LogFormat, level: Configuration.LogLevel, descriptor: Int32 = STDERR_FILENO, now: @escaping @Sendable () -> Int64
  ) {
    isText =
      switch format {
      case .auto: isatty(descriptor) == 1
      case .json: false
      case .text: true
      }
    self.level = level
    self.descriptor = descriptor
    self.now = now
  }

  /// Writes at once, and waits when nobody reads: not for a thread that serves requests.
  package func write(_ event: Event) { write(event, at: now()) }

  func write(_ event: Event, at time: Int64) {
    guard includes(event) else { return }
    let line = isText ? Self.text(event) : Self.json(event, at: time)
    // One write keeps lines of several threads and processes apart.
    _ = unsafe line.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
  }

  func includes(_ event: Event) -> Bool { Self.rank(event.level) <= Self.rank(level) }

  private static func rank(_ level: Configuration.LogLevel) -> Int {
    switch level {
    case .error: 0
    case .warning: 1
    case .info: 2
    }
  }

  // MARK: - Lines

  static func json(_ event: Event, at time: Int64) -> [UInt8] {
    var object = JSONObject()
    let (microseconds, overflows) = time.multipliedReportingOverflow(by: 1000)
    object["at"] = .string(JSONString(UTCTime(unixMicroseconds: overflows ? 0 : microseconds).text))
    object["level"] = .string(JSONString(event.level.rawValue))
    object["message"] = .string(JSONString(stringLiteral: event.message))
    for (name, value) in event.fields { object[name] = value }
    return ascii(JSONValue.object(object).serialized()) + [0x0A]
  }

  static func text(_ event: Event) -> [UInt8] {
    let fields = event.fields.map { " \($0.0.text)=\(String(decoding: $0.1.serialized(), as: UTF8.self))" }.joined()
    return ascii(Array("\(event.level.rawValue): \(event.message)\(fields)".utf8)) + [0x0A]
  }

  /// Visible ASCII and blanks stay, everything else becomes the escapes of a JSON string (RFC 8259, section 7): no line
  /// ends early, no terminal obeys, and no letter looks like another.
  private static func ascii(_ line: [UInt8]) -> [UInt8] {
    if line.allSatisfy({ (0x20..<0x7F).contains($0) }) { return line }
    var result: [UInt8] = []
    for unit in String(decoding: line, as: UTF8.self).utf16 {
      if (0x20..<0x7F).contains(unit) {
        result.append(UInt8(truncatingIfNeeded: unit))
      } else {
        let digits = String(unit, radix: 16)
        result += Array("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
      }
    }
    return result
  }
}
