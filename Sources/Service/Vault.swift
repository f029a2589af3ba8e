package import KeyRing
internal import Model
internal import Store
internal import Synchronization
internal import Threads

/// The keys of the store: the root key, and the tenant keys that were needed so far.
///
/// A KEK version never changes, so an opened one stays valid until the root key changes, or for the life of its tenant. A vault that was
/// sealed has neither: nothing opens and nothing is signed until it gets the root key again. It still tells whether rows of tenants,
/// keys and the structure are ours, and where lists of them go on.
package final class Vault: Sendable {
  private struct Slot: Hashable {
    let tenant: String
    let version: UInt32
  }

  private final class CheckedTenant: Sendable {
    let row: TenantRow
    let settings: TenantSettings

    init(_ row: TenantRow, _ settings: TenantSettings) { (self.row, self.settings) = (row, settings) }
  }

  /// The keys with their row as it was when its MAC was checked: the same row needs no second check.
  final class OpenedKEK: Sendable {
    let row: KEKRow
    let keys: TenantKeys

    init(_ row: KEKRow, _ keys: TenantKeys) { (self.row, self.keys) = (row, keys) }
  }

  /// The rows that a transaction asked for last: most of its bodies ask for the same ones, several times each.
  private final class LastRows {
    var tenant: CheckedTenant?
    var kek: OpenedKEK?

    static func of(_ memo: TransactionMemo) -> LastRows {
      if let known = memo.contents as? LastRows { return known }
      let new = LastRows()
      memo.contents = new
      return new
    }
  }

  private struct Roots {
    /// Of the key that signs, or did last.
    var id: String
    /// nil while sealed.
    var keys: RootKeys?
    var proofs: RowProofs
    let cursorKey: CursorKey

    init(_ keys: RootKeys) { (id, self.keys, proofs, cursorKey) = (keys.signing.id, keys, keys.rowProofs, keys.signing.cursorKey) }
  }

  private let known: Locked<Roots>
  private let retiredCursorKeys = Locked<[CursorKey]>([])
  /// Tenants as they were when the MAC of their row was checked: the same row needs no second check.
  private let verified = Locked<[String: CheckedTenant]>([:])
  private let opened = Locked<[Slot: OpenedKEK]>([:])
  /// Deleted by this process. Another thread may still read them in its snapshot: nothing of theirs is kept again.
  private let forgotten = Locked<Set<String>>([])
  /// Disabled by this process, for the same reason.
  private let disabled = Locked<Set<Slot>>([])
  private let changes = Atomic(0)
  private let seals = Atomic(0)

  package init(root: RootKey) { known = Locked(Roots(RootKeys(root))) }

  /// What opens and verifies now.
  package var roots: RootKeys {
    get throws(ServiceError) {
      guard let keys = known.withLock({ $0.keys }) else { throw .sealed }
      return keys
    }
  }
  /// What wraps and signs now. Of the writer's thread it belongs to the transaction that is open.
  package var root: RootKey { get throws(ServiceError) { try roots.signing } }
  package var rootID: String { known.withLock { $0.id } }
  package var isSealed: Bool { known.withLock { $0.keys == nil } }
  var rowProofs: RowProofs { known.withLock { $0.proofs } }

  /// What signs where lists go on.
  var cursorKey: CursorKey { known.withLock { $0.cursorKey } }
  /// The same, and what did before a change of the root key.
  var cursorKeys: [CursorKey] { [cursorKey] + retiredCursorKeys.withLock { $0 } }

  /// From here on. What was checked with a key that is known no more is checked again.
  func use(_ roots: RootKeys) {
    known.withLock { $0 = Roots(roots) }
    verified.withLock { $0 = [:] }
    opened.withLock { $0 = [:] }
  }

  /// Drops the root key and every tenant key. Each is erased with its last use; what a thread remembers goes at its next pass.
  func seal() {
    known.withLock { $0.keys = nil }
    opened.withLock { $0 = [:] }
    seals.add(1, ordering: .releasing)
    changes.add(1, ordering: .releasing)
  }

  /// Lists that began under `old` go on for as long as this process runs.
  func keepCursors(of old: RootKey) { retiredCursorKeys.withLock { $0 = [old.cursorKey] + $0.prefix(7) } }

  /// How often it was sealed.
  var sealings: Int { seals.load(ordering: .acquiring) }

  /// As `keys`, to open what a client brought: nil where no version of that number opens anything.
  func keys(named version: UInt32, tenant: String, in store: any StoreReading) throws(ServiceError) -> TenantKeys? {
    do throws(ServiceError) { return try keys(tenant: tenant, version: version, in: store) } catch {
      guard case .unreadable = error else { throw error }
      return nil
    }
  }

  /// The keys of one KEK version, unwrapped on first use.
  func keys(tenant: String, version: UInt32, in store: any StoreReading) throws(ServiceError) -> TenantKeys {
    try opened(tenant: tenant, version: version, in: store).keys
  }

  func opened(tenant: String, version: UInt32, in store: any StoreReading) throws(ServiceError) -> OpenedKEK {
    let last = store.memo.map(LastRows.of)
    if let last {
      if let kept = last.kek, kept.row.version == version, kept.row.tenant == tenant { return kept }
    } else if let kept = opened.withLock({ $0[Slot(tenant: tenant, version: version)] }) {
      return kept
    }
    let row: KEKRow?
    do { row = try store.kek(tenant: tenant, version: version) } catch { throw ServiceError(error) }
    guard let row else { throw .unreadable }
    let found = try opened(row)
    last?.kek = found
    return found
  }

  /// The same of a row that was read already, after its MAC was checked.
  private func opened(_ row: KEKRow) throws(ServiceError) -> OpenedKEK {
    let slot = Slot(tenant: row.tenant, version: row.version)
    let kept = opened.withLock { $0[slot] }
    if let kept, kept.row == row { return kept }
    guard !row.isDisabled, !disabled.withLock({ $0.contains(slot) }), try verify(row) else { throw .unreadable }
    // Of a transaction that came to nothing, keys may be left whose version was made again since, with another key.
    let keys = if let kept, kept.keys.kekID == row.kekID { kept.keys } else { try unwrap(row) }
    let found = OpenedKEK(row, keys)
    forgotten.withLock { forgotten in
      if !forgotten.contains(row.tenant) { opened.withLock { $0[slot] = found } }
    }
    // Disabled or sealed meanwhile: it may have been kept again.
    if isSealed || disabled.withLock({ $0.contains(slot) }) { opened.withLock { $0[slot] = nil } }
    return found
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
  func tenantEver(_ id: String, in store: any StoreReading) throws(ServiceError) -> TenantRow { try checked(id, in: store).row }

  private func existing(_ id: String, in store: any StoreReading) throws(ServiceError) -> CheckedTenant {
    let found = try checked(id, in: store)
    if found.row.isDeleted { throw .notFound }
    return found
  }

  private func checked(_ id: String, in store: any StoreReading) throws(ServiceError) -> CheckedTenant {
    let last = store.memo.map(LastRows.of)
    if let kept = last?.tenant, kept.row.id == id { return kept }
    let row: TenantRow?
    do { row = try store.tenant(id) } catch { throw ServiceError(error) }
    guard let row else { throw .notFound }
    let found = try checked(row)
    last?.tenant = found
    return found
  }

  private func checked(_ row: TenantRow) throws(ServiceError) -> CheckedTenant {
    if let known = verified.withLock({ $0[row.id] }), known.row == row { return known }
    guard try verify(row), let settings = TenantSettings(stored: row.settings) else { throw .unreadable }
    let checked = CheckedTenant(row, settings)
    verified.withLock { $0[row.id] = checked }
    return checked
  }
}
