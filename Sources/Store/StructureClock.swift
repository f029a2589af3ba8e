internal import Synchronization

/// Counts commits that changed who may do what: tenants, API keys, agents, their memberships, teams and projects. What was worked out
/// of these holds while the number stands, however often values change.
///
/// It tells only of this process. While another writes, as the predecessor does in a restart, it stands at zero, and nothing may be
/// concluded from it.
final class StructureClock: Sendable {
  private let number = Atomic<UInt64>(0)

  /// From here on this process alone writes.
  func begin() { number.store(1, ordering: .releasing) }

  /// To be called once the commit can be seen, and before anybody is told of it.
  func advance() { number.add(1, ordering: .releasing) }

  /// nil while another process writes. To be read before the snapshot begins that it is to tell of.
  var now: UInt64? {
    let number = number.load(ordering: .acquiring)
    return number == 0 ? nil : number
  }
}
