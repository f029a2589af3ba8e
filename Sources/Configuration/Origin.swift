/// Where a value came from, for messages and for `coffer doctor`.
package enum Origin: Sendable, Hashable, CustomStringConvertible {
  /// A command-line flag, with its dashes.
  case flag(String)
  /// An environment variable.
  case environment(String)
  /// A line of a configuration file, counted from 1.
  case file(path: String, line: Int)
  /// Nothing was given.
  case standard

  package var description: String {
    switch self {
    case .flag(let name): name
    case .environment(let name): name
    case .file(let path, let line): "\(path):\(line)"
    case .standard: "default"
    }
  }
}

/// A value that remembers where it came from.
package struct Setting<Value: Sendable>: Sendable {
  package let value: Value
  package let origin: Origin

  package init(_ value: Value, from origin: Origin) {
    self.value = value
    self.origin = origin
  }
}

extension Setting: Equatable where Value: Equatable {}
