internal import Threads

/// How many of the reserved uses of each KEK version this process has taken. The first use after a
/// start counts from the reservation found in the store, so what a crash left unused is skipped.
final class WrapCounter: Sendable {
  private struct Slot: Hashable {
    let tenant: String
    let version: UInt32
  }

  private let used = Locked<[Slot: Int64]>([:])

  /// Takes one use; true when `reserved`, as the transaction sees it, does not cover it.
  func needsReservation(tenant: String, version: UInt32, reserved: Int64) -> Bool {
    used.withLock { counts in
      let slot = Slot(tenant: tenant, version: version)
      let count = (counts[slot] ?? reserved) + 1
      counts[slot] = count
      return count > reserved
    }
  }
}
