internal import ArgumentParser
internal import StrictJSON

/// A scope as a person names it: `org`, `agent`, `team:NAME` or `project:NAME`, with a name or an id.
struct ScopeReference: ExpressibleByArgument, Equatable {
  enum Kind: String { case org, team, project, agent }

  let kind: Kind
  /// nil for the one org and the agent itself.
  let name: String?

  static let own = ScopeReference(kind: .agent, name: nil)

  private init(kind: Kind, name: String?) {
    self.kind = kind
    self.name = name
  }

  init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let kind = Kind(rawValue: parts[0]) else { return nil }
    switch (kind, parts.count) {
    case (.org, 1), (.agent, 1): self.init(kind: kind, name: nil)
    case (.team, 2), (.project, 2): self.init(kind: kind, name: parts[1])
    default: return nil
    }
  }

  var defaultValueDescription: String { name.map { "\(kind.rawValue):\($0)" } ?? kind.rawValue }

  /// The scope's id, from the listing of the scopes this agent may use.
  func resolved(by client: AgentClient) throws -> Scope {
    let all = try client.get("/agent/secrets/scopes").list.compactMap(Scope.init)
    let found = all.filter { $0.kind == kind.rawValue && (name == nil || $0.id == name || $0.name == name) }
    guard found.count == 1, let scope = found.first else {
      let all = all.map { $0.kind == "org" || $0.kind == "agent" ? $0.kind : "\($0.kind):\($0.name)" }.joined(separator: ", ")
      throw found.isEmpty
        ? AgentFailure(.forbidden, "this agent is not in that scope; it is in: \(all)")
        : AgentFailure(.conflict, "several scopes have that name; use the id: \(found.map(\.id).joined(separator: ", "))")
    }
    return scope
  }
}

/// A scope of the server's listing.
struct Scope: Equatable {
  let kind: String
  let id: String
  let name: String

  init?(_ row: JSONObject) {
    guard let kind = row["scope"]?.string?.text, let id = row["scopeId"]?.string?.text else { return nil }
    self.kind = kind
    self.id = id
    name = row["name"]?.string?.text ?? id
  }

  var path: String { "/agent/secrets/\(kind)/\(id)" }
}

struct ScopeOption: ParsableArguments {
  @Option(help: "org, agent, team:NAME or project:NAME; a name or an id.") var scope = ScopeReference.own
}

/// Names that go into paths (scoped spec, section 4.2); judged here so that a slip never becomes another path.
enum NameRule {
  static func secret(_ text: String) throws {
    guard (1...128).contains(text.utf8.count), text.utf8.first.map(isAlphanumeric) == true,
      text.utf8.allSatisfy({ isAlphanumeric($0) || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0) })
    else {
      throw ValidationError("a secret's id begins with a letter or digit, then letters, digits, dots, underscores and dashes, 128 at most")
    }
  }

  static func field(_ text: String) throws {
    guard (1...64).contains(text.utf8.count), let first = text.utf8.first, isAlphanumeric(first) || first == UInt8(ascii: "_"),
      !(0x30...0x39).contains(first),
      text.utf8.allSatisfy({ isAlphanumeric($0) || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0) })
    else {
      throw ValidationError(
        "a field's key begins with a letter or underscore, then letters, digits, dots, underscores and dashes, 64 at most")
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool { TenantName.isLetterOrDigit(byte) }
}
