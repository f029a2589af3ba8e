/// The agent servers behind this one, by name. The first is for what belongs to no conversation.
package struct AgentServers: Sendable {
  package struct Named: Sendable {
    /// Empty when there is only one and it has no name.
    package let name: String
    package let gateway: Gateway
  }

  /// At least one.
  package let all: [Named]

  /// - Parameter servers: at least one; names are unique.
  package init(_ servers: [(name: String, server: AgentServer)]) {
    all = servers.map { Named(name: $0.name, gateway: Gateway($0.server)) }
  }

  package var first: Named { all[0] }
  package var areNamed: Bool { !first.name.isEmpty }
  package func named(_ name: String) -> Named? { all.first { $0.name == name } }
  package func index(of server: Named) -> Int { all.firstIndex { $0.name == server.name } ?? 0 }

  /// The one for a new conversation: by its id, so that each gets its share and a repeated start the same one; those that could not be
  /// reached lately only when there is no other (rendezvous hashing, Thaler and Ravishankar 1998).
  package func choice(for conversation: String) -> Named {
    let good = all.filter { !$0.gateway.isDoubtful }
    return (good.isEmpty ? all : good).max { Self.weight($0.name, conversation) < Self.weight($1.name, conversation) } ?? first
  }

  /// FNV-1a, 64 bits, with its bits mixed at the end: names differ in their last letters.
  private static func weight(_ name: String, _ conversation: String) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in Array(conversation.utf8) + [0] + Array(name.utf8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
    return hash ^ (hash >> 33)
  }
}
