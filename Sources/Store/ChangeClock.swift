internal import Synchronization

/// Counts commits that changed something, so that what was worked out of it holds while the number stands.
///
/// A commit can be seen some time before the writer gets to say so, and whoever saw it may tell of it. So the number also goes up
/// before: it is odd while a commit is under way, and nothing may be concluded from it then. It tells only of this process. While
/// another writes, as the predecessor does in a restart, it stands at zero, and nothing may be concluded from it either.
///
/// Changed by one thread.
final class ChangeClock: Sendable {
  private let number = Atomic<UInt64>(0)

  /// From here on this process alone writes.
  func begin() { number.store(2, ordering: .releasing) }

  /// To be called before anything of the commit can be seen.
  func commitBegins() { number.add(1, ordering: .sequentiallyConsistent) }

  /// To be called once the commit can be seen or has failed, and before anybody is told of it.
  func commitEnded() {
    guard !number.load(ordering: .relaxed).isMultiple(of: 2) else { return }
    number.add(1, ordering: .releasing)
  }

  /// nil while a commit is under way or another process writes. To be read before the snapshot begins that it is to tell of.
  var now: UInt64? {
    let number = number.load(ordering: .acquiring)
    return number == 0 || !number.isMultiple(of: 2) ? nil : number
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
    commits.begin()
  }

  func commitBegins(of transaction: SQLiteTransaction) {
    if transaction.changesStructure { structure.commitBegins() }
    if transaction.changesContents { contents.commitBegins() }
    commits.commitBegins()
  }

  func commitEnded() {
    structure.commitEnded()
    contents.commitEnded()
    commits.commitEnded()
  }
}
