internal import HTTPMessages

/// Figures in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Labels hold patterns,
/// methods and words of this file: never a name, a path or an id.
struct MetricsText {
  static let mediaType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

  enum Kind: String { case counter, gauge, histogram }

  private(set) var bytes: [UInt8] = []

  init() { bytes.reserveCapacity(16 << 10) }

  /// Starts a family; its samples follow.
  mutating func family(_ name: StaticString, _ kind: Kind, _ help: StaticString) {
    append("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
  }

  mutating func sample(_ name: String, _ labels: [(StaticString, String)] = [], _ value: String) {
    append(name)
    if !labels.isEmpty { append("{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}") }
    append(" \(value)\n")
  }

  /// A family of one sample without labels.
  mutating func single(_ name: StaticString, _ kind: Kind, _ help: StaticString, _ value: String) {
    family(name, kind, help)
    sample("\(name)", [], value)
  }

  /// Cumulative buckets, as the format wants them, from counts of one bucket each; the last is unbounded when there is one
  /// more count than bounds.
  mutating func histogram(
    _ name: StaticString, _ labels: [(StaticString, String)] = [], bounds: [String], counts: [UInt64], sum: String
  ) {
    var total: UInt64 = 0
    for (index, count) in counts.enumerated() where index < bounds.count {
      total += count
      sample("\(name)_bucket", labels + [("le", bounds[index])], "\(total)")
    }
    total = counts.reduce(0, +)
    sample("\(name)_bucket", labels + [("le", "+Inf")], "\(total)")
    sample("\(name)_sum", labels, sum)
    sample("\(name)_count", labels, "\(total)")
  }

  /// Seconds as a decimal fraction: `0.0005`.
  static func seconds(microseconds: UInt64) -> String {
    let fraction = microseconds % 1_000_000
    let digits = String(repeating: "0", count: 6 - String(fraction).count) + String(fraction)
    var text = "\(microseconds / 1_000_000).\(digits)"
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  /// Seconds of Unix or other milliseconds.
  static func seconds(milliseconds: Int64) -> String { seconds(microseconds: UInt64(max(0, milliseconds)) &* 1000) }

  private static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "\\": "\\\\"
      case "\"": "\\\""
      case "\n": "\\n"
      default: String(character)
      }
    }.joined()
  }

  private mutating func append(_ text: String) { bytes += text.utf8 }
}
