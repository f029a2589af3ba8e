package import KeyRing
internal import Model
internal import Store
internal import Synchronization
internal import Threads

/// The keys of the store: the root key, and the tenant keys that were needed so far.
///
/// A KEK version never changes, so an opened one stays valid for the life of the process, or of its tenant.
package final class Vault: Sendable {
  private struct Slot: Hashable {
    let tenant: String
    let version: UInt32
  }

  private let knownRoots: Locked<RootKeys>
  private let retiredCursorKeys = Locked<[CursorKey]>([])
  /// Tenant rows as they were when their MAC was checked: the same row needs no second check.
  private let verified = Locked<[String: (row: TenantRow, settings: TenantSettings)]>([:])
  private let opened = Locked<[Slot: TenantKeys]>([:])
  /// Deleted by this process. Another thread may still read them in its snapshot: nothing of theirs is kept again.
  private let forgotten = Locked<Set<String>>([])
  /// Disabled by this process, for the same reason.
  private let disabled = Locked<Set<Slot>>([])
  private let changes = Atomic(0)

  package init(root: RootKey) { knownRoots = Locked(RootKeys(root)) }

  /// What opens and verifies now.
  package var roots: RootKeys { knownRoots.withLock { $0 } }
  /// What wraps and signs now. Of the writer's thread it belongs to the transaction that is open.
  package var root: RootKey { roots.signing }

  /// What signs where lists go on, and what did before a change of the root key.
  var cursorKeys: [CursorKey] { [root.cursorKey] + retiredCursorKeys.withLock { $0 } }

  /// From here on. What was checked with a key that is known no more is checked again.
  func use(_ roots: RootKeys) {
    knownRoots.withLock { $0 = roots }
    verified.withLock { $0 = [:] }
  }

  /// Lists that began under `old` go on for as long as this process runs.
  func keepCursors(of old: RootKey) { retiredCursorKeys.withLock { $0 = [old.cursorKey] + $0.prefix(7) } }

  /// The keys of one KEK version, unwrapped on first use.
  func keys(tenant: String, version: UInt32, in store: any StoreReading) throws(ServiceError) -> TenantKeys {
    let slot = Slot(tenant: tenant, version: version)
    let kept = opened.withLock { $0[slot] }
    // Of a transaction that came to nothing, keys may be left whose version was made again since, with another key.
    if let kept, !store.isTransaction { return kept }
    let row: KEKRow?
    do { row = try store.kek(tenant: tenant, version: version) } catch { throw ServiceError(error) }
    if let kept, row?.kekID == kept.kekID { return kept }
    guard let row, !row.isDisabled, !disabled.withLock({ $0.contains(slot) }) else { throw .unreadable }
    let keys = try unwrap(row)
    forgotten.withLock { forgotten in
      if !forgotten.contains(tenant) { opened.withLock { $0[slot] = keys } }
    }
    // Disabled meanwhile: it may have been kept again.
    if disabled.withLock({ $0.contains(slot) }) { opened.withLock { $0[slot] = nil } }
    return keys
  }

  /// Drops one version of a tenant's keys for good. It is erased with its last use.
  func forget(_ tenant: String, version: UInt32) {
    let slot = Slot(tenant: tenant, version: version)
    disabled.withLock { _ = $0.insert(slot) }
    opened.withLock { $0[slot] = nil }
    changes.add(1, ordering: .releasing)
  }

  /// Drops what is known of a tenant that was deleted. Its keys are erased with their last use.
  func forget(_ tenant: String) {
    forgotten.withLock { _ = $0.insert(tenant) }
    opened.withLock { keys in for slot in keys.keys where slot.tenant == tenant { keys[slot] = nil } }
    verified.withLock { $0[tenant] = nil }
    changes.add(1, ordering: .releasing)
  }

  /// How often something was forgotten: what a thread remembers by itself goes with it.
  var forgettings: Int { changes.load(ordering: .acquiring) }

  /// The keys for new rows of `tenant`: checks the tenant row, takes the active version.
  func activeKeys(tenant: String, in store: any StoreReading) throws(ServiceError) -> TenantKeys {
    let row = try verifiedTenant(tenant, in: store)
    return try keys(tenant: tenant, version: row.activeKEKVersion, in: store)
  }

  /// The row of a tenant that is there, after its MAC was checked.
  func verifiedTenant(_ id: String, in store: any StoreReading) throws(ServiceError) -> TenantRow { try existing(id, in: store).row }

  /// The tenant's settings, from the same row.
  func settings(of tenant: String, in store: any StoreReading) throws(ServiceError) -> TenantSettings {
    try existing(tenant, in: store).settings
  }

  /// As `verifiedTenant`, also of a deleted one: its audit chain can be read still.
  func tenantEver(_ id: String, in store: any StoreReading) throws(ServiceError) -> TenantRow { try known(id, in: store).row }

  private func existing(_ id: String, in store: any StoreReading) throws(ServiceError) -> (row: TenantRow, settings: TenantSettings) {
    let known = try known(id, in: store)
    if known.row.isDeleted { throw .notFound }
    return known
  }

  private func known(_ id: String, in store: any StoreReading) throws(ServiceError) -> (row: TenantRow, settings: TenantSettings) {
    let row: TenantRow?
    do { row = try store.tenant(id) } catch { throw ServiceError(error) }
    guard let row else { throw .notFound }
    if let known = verified.withLock({ $0[id] }), known.row == row { return known }
    guard try verify(row), let settings = TenantSettings(stored: row.settings) else { throw .unreadable }
    verified.withLock { $0[id] = (row, settings) }
    return (row, settings)
  }
}
