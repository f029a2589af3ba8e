/// Judgements of nginx's certificate.
package enum Certificate {
  /// Seconds before its end at which a certificate should be renewed: 21 days.
  private static let notice: Int64 = 21 * 86_400
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  /// - Parameters:
  ///   - end: the last moment at which it holds, in Unix seconds; nil when it cannot be read.
  ///   - isOurs: made by `coffer up` for trying out.
  package static func judge(_ path: String, end: Int64?, now: Int64, isOurs: Bool) -> Finding {
    guard let end else {
      return Finding(.certificate, .warning, "\(path) cannot be read as a certificate by this account; look with: openssl x509 -in \(path)")
    }
    let remedy = isOurs ? "delete it, and `coffer up` makes another" : "renew it and reload nginx"
    if end <= now { return Finding(.certificate, .wrong, "the certificate \(path) is over: \(remedy)") }
    let text = "the certificate \(path) holds for \((end - now) / 86_400) more days"
    return end - now < notice ? Finding(.certificate, .warning, "\(text): \(remedy)") : Finding(.certificate, .good, text)
  }

  /// Unix seconds of what `openssl x509 -enddate` prints: `notAfter=May  1 10:00:00 2027 GMT`.
  package static func end(_ line: String) -> Int64? {
    guard line.hasPrefix("notAfter=") else { return nil }
    let words = line.dropFirst("notAfter=".count).split { $0 == " " || $0 == "\n" }
    guard words.count == 5, words[4] == "GMT", let month = months.firstIndex(of: String(words[0])), let day = Int64(words[1]),
      let year = Int64(words[3]), (1970...9999).contains(year), (1...31).contains(day)
    else { return nil }
    let time = words[2].split(separator: ":").compactMap { Int64($0) }
    guard time.count == 3 else { return nil }
    return CivilTime.days(year, Int64(month) + 1, day) * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]
  }
}
