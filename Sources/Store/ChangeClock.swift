internal import Synchronization

/// Counts commits that changed something, so that what was worked out of it holds while the number stands.
///
/// It tells only of this process. While another writes, as the predecessor does in a restart, it stands at zero, and nothing may be
/// concluded from it.
final class ChangeClock: Sendable {
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

struct ChangeClocks: Sendable {
  /// Of who may do what: tenants, API keys, agents, their memberships, teams and projects.
  let structure = ChangeClock()
  /// Of everything but audit entries, of which each exposure adds one.
  let contents = ChangeClock()
  /// Of everything.
  let commits = ChangeClock()

  func begin() {
    structure.begin()
    contents.begin()
    // Last: who finds this one begun finds all.
    commits.begin()
  }
}
