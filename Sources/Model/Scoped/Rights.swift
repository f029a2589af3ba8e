/// What a member of a scope may do (scoped spec, section 2.3).
package struct Capabilities: OptionSet, Sendable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let list = Capabilities(rawValue: 1)
  package static let read = Capabilities(rawValue: 2)
  package static let decrypt = Capabilities(rawValue: 4)
  package static let write = Capabilities(rawValue: 8)
  package static let delete = Capabilities(rawValue: 16)
  package static let history = Capabilities(rawValue: 32)
  package static let all: Capabilities = [.list, .read, .decrypt, .write, .delete, .history]

  private static let names: [(Capabilities, String)] = [
    (.list, "secrets:list"), (.read, "secrets:read"), (.decrypt, "secrets:decrypt"), (.write, "secrets:write"),
    (.delete, "secrets:delete"), (.history, "secrets:history"),
  ]

  /// In a fixed order.
  package var names: [String] { Self.names.filter { contains($0.0) }.map(\.1) }

  /// nil when a name is not known.
  package init?(names: [String]) {
    self = []
    for name in names {
      guard let known = Self.names.first(where: { $0.1 == name }) else { return nil }
      insert(known.0)
    }
  }
}

package enum Role: String, Sendable, CaseIterable {
  /// Metadata and history.
  case observer
  case reader
  /// Stores what it can never read back.
  case depositor
  case writer
  case manager

  package var capabilities: Capabilities {
    switch self {
    case .observer: [.list, .history]
    case .reader: [.list, .read, .decrypt, .history]
    case .depositor: [.list, .write]
    case .writer: [.list, .read, .decrypt, .history, .write]
    case .manager: .all
    }
  }
}
