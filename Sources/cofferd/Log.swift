internal import Configuration
internal import Glibc
internal import Model
internal import StrictJSON

/// One line per event on standard error: JSON, or plain text on a terminal. What can be logged is this list; there is no
/// way to hand it a request, a header or a value.
struct Log: Sendable {
  enum Event: Sendable {
    case started(version: String, socket: String, threads: Int)
    case warning(ConfigurationWarning)
    case restartRequested
    case restartFailed
    case successorReady(pid: Int32)
    case draining
    case stopped(requests: UInt64)
    case auditCut(entries: Int64)
    case auditNotCut(String)
    case storeFailed(String)
    case startRefused(String)

    var level: Configuration.LogLevel {
      switch self {
      case .started, .restartRequested, .successorReady, .draining, .stopped, .auditCut: .info
      case .warning: .warning
      case .auditNotCut, .restartFailed, .storeFailed, .startRefused: .error
      }
    }

    var message: StaticString {
      switch self {
      case .started: "serving"
      case .warning: "configuration warning"
      case .restartRequested: "starting a successor"
      case .restartFailed: "the successor did not become ready; this process serves on"
      case .successorReady: "the successor serves"
      case .draining: "finishing what was begun"
      case .stopped: "stopped"
      case .auditCut: "old audit entries were cut"
      case .auditNotCut: "old audit entries could not be cut"
      case .storeFailed: "the store failed; the process ends and recovers at its next start"
      case .startRefused: "start refused"
      }
    }

    var fields: [(JSONString, JSONValue)] {
      switch self {
      case .started(let version, let socket, let threads):
        [("version", .string(JSONString(version))), ("socket", .string(JSONString(socket))), ("threads", .number(JSONNumber(threads)))]
      case .warning(let warning): [("warning", .string(JSONString(warning.message)))]
      case .successorReady(let pid): [("pid", .number(JSONNumber(pid)))]
      case .stopped(let requests): [("requests", .number(JSONNumber(requests)))]
      case .auditCut(let entries): [("entries", .number(JSONNumber(entries)))]
      case .storeFailed(let reason), .startRefused(let reason), .auditNotCut(let reason): [("reason", .string(JSONString(reason)))]
      case .restartRequested, .restartFailed, .draining: []
      }
    }
  }

  let format: Configuration.LogFormat
  let level: Configuration.LogLevel

  func write(_ event: Event) {
    guard rank(event.level) <= rank(level) else { return }
    var line: [UInt8]
    switch format {
    case .json:
      var object = JSONObject()
      object["at"] = .string(JSONString(Clock.now.text))
      object["level"] = .string(JSONString(event.level.rawValue))
      object["message"] = .string(JSONString(stringLiteral: event.message))
      for (name, value) in event.fields { object[name] = value }
      line = JSONValue.object(object).serialized()
    case .text:
      let fields = event.fields.map { " \($0.0.text)=\(String(decoding: $0.1.serialized(), as: UTF8.self))" }.joined()
      line = Array("\(event.level.rawValue): \(event.message)\(fields)".utf8)
    }
    line.append(0x0A)
    // One write keeps lines of several processes apart.
    _ = unsafe line.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private func rank(_ level: Configuration.LogLevel) -> Int {
    switch level {
    case .error: 0
    case .warning: 1
    case .info: 2
    }
  }
}

enum Clock {
  /// Unix milliseconds.
  static func milliseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  static var now: UTCTime { UTCTime(unixMicroseconds: milliseconds() * 1000) }
}
