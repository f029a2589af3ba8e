/// Judgements of the way that nginx's files give to requests.
extension NginxRoute {
  /// What makes nginx write more than it may: at these levels rejected header lines with their values, keys included.
  private static let talkative: Set<String> = ["debug", "info", "notice"]
  /// At these the request line, with its query, and the referer of a request that failed.
  private static let wordy: Set<String> = ["warn", "error", "crit"]

  /// - Parameters:
  ///   - wanted: the parameters that cofferd reads.
  ///   - maximumBody: bytes of the longest body that cofferd takes.
  package func judge(wanted: [String], maximumBody: UInt64) -> [Finding] {
    [headers(wanted), bodies(maximumBody), repeated, log]
  }

  private func headers(_ wanted: [String]) -> Finding {
    // With the client's own headers passed, those that are named need not be.
    let missing = wanted.filter { !parameters.contains($0) && !(passesAllHeaders && $0.hasPrefix("HTTP_")) }
    if !missing.isEmpty {
      let lines = missing.map { "fastcgi_param \($0) \(Self.variable($0));" }.joined(separator: " ")
      return Finding(.nginxHeaders, .wrong, "\(name) does not pass \(missing.joined(separator: ", ")) to cofferd; add: \(lines)")
    }
    if passesAllHeaders {
      return Finding(
        .nginxHeaders, .wrong,
        "\(name) passes every header a client sends, forged ones too; set: fastcgi_pass_request_headers off;")
    }
    return Finding(.nginxHeaders, .good, "\(name) passes the headers that cofferd reads and no others")
  }

  /// nginx's variable for a parameter, as the shipped file has it.
  private static func variable(_ parameter: String) -> String {
    parameter.hasPrefix("HTTP_")
      ? "$\(parameter.lowercased())\(parameter == "HTTP_HOST" ? "" : " if_not_empty")"
      : parameter == "REQUEST_SCHEME" ? "$scheme" : "$\(parameter.lowercased())"
  }

  private func bodies(_ maximum: UInt64) -> Finding {
    if bodyLimit == 0 || bodyBuffer < bodyLimit {
      let limit = bodyLimit == 0 ? "of any size" : "of up to \(bodyLimit) bytes"
      return Finding(
        .nginxBodies, .wrong,
        "\(name) takes bodies \(limit) and keeps \(bodyBuffer) bytes in memory: the rest, secrets included, goes into a file; set: "
          + "client_max_body_size 1m; client_body_buffer_size 2m;")
    }
    if !keepsAnswersInMemory {
      return Finding(
        .nginxBodies, .wrong, "\(name) may write an answer to a file while a slow client reads it; set: fastcgi_max_temp_file_size 0;")
    }
    if bodyLimit < maximum {
      return Finding(
        .nginxBodies, .warning,
        "\(name) refuses bodies over \(bodyLimit) bytes, and cofferd takes up to \(maximum); set: client_max_body_size 1m;")
    }
    return Finding(.nginxBodies, .good, "\(name) keeps every body in memory")
  }

  private var repeated: Finding {
    repeats
      ? Finding(
        .nginxRepeats, .wrong,
        "\(name) may send a PUT or DELETE a second time after a failure, though the first was done; set: fastcgi_next_upstream off;")
      : Finding(.nginxRepeats, .good, "\(name) sends every request once")
  }

  private var log: Finding {
    let levels = logLevels.isEmpty ? ["error"] : logLevels
    if let level = levels.first(where: Self.talkative.contains) {
      return Finding(
        .nginxLog, .wrong,
        "\(name) has an error_log at \(level), which writes rejected headers, keys included; set: error_log stderr alert;")
    }
    if let level = levels.first(where: Self.wordy.contains) {
      return Finding(
        .nginxLog, .warning,
        "\(name) has an error_log at \(level), which writes request lines with their queries; set: error_log stderr alert;")
    }
    return Finding(.nginxLog, .good, "\(name) logs no part of a request with its errors")
  }
}
