internal import Store

/// What a tenant's audit chain says of the rows, as far as it was read.
struct ChainState {
  private struct Known {
    /// nil: deleted.
    var state: RowState?
    /// The entry that says so.
    var sequence: Int64
    var isSeen = false
  }

  let tenant: String
  private let isDefault: Bool
  /// A head that was told earlier, of which nothing has been seen yet.
  private(set) var kept: AuditHead?
  private(set) var head = AuditHead(sequence: 0, hash: [])
  private(set) var entries = 0
  private var rows: [String: Known] = [:]
  private var scoped: [String: (state: ScopedSecret, sequence: Int64, isSeen: Bool)] = [:]
  /// The highest number of a row that was made.
  private var highest: UInt64 = 0
  /// The first entries were cut; what only they said of the rows is said again behind the cut.
  private var isCut = false
  /// It ends before the change of the root key; told once.
  var isShort = false

  init(tenant: String, isDefault: Bool, kept: AuditHead? = nil) {
    self.tenant = tenant
    self.isDefault = isDefault
    self.kept = kept
  }

  /// The default tenant's chain begins with the making of the store, and no other does.
  func startsRight(_ row: AuditRow) -> Bool { isCut || entries > 0 || isDefault == (row.action == "\(Service.storeCreated)") }

  /// Goes on behind a checkpoint. What was known before is older than the cut; a kept head before it was cut by an operator.
  mutating func resume(behind checkpoint: AuditHead) {
    head = checkpoint
    if let told = kept, told.sequence < checkpoint.sequence || told == checkpoint { kept = nil }
    isCut = true
    rows = [:]
    scoped = [:]
  }

  /// Goes on behind `row`, whether it fits or not: one break is one finding.
  mutating func take(_ row: AuditRow) {
    head = AuditHead(sequence: row.sequence, hash: row.hash)
    entries += 1
    if head == kept { kept = nil }
    if row.action == "\(Service.tenantDeleted)" {
      rows = [:]
      scoped = [:]
    }
    if var change = Self.scopedChange(row) {
      change.state.fields = Self.fields(scoped[change.place]?.state.fields ?? [], after: row)
      take(change.state, of: change.place, from: row)
    }
    for change in AuditEvent.rows(in: row.details) {
      if let place = Self.scopedPlace(in: change.place) {
        if let state = change.state {
          take(ScopedSecret(revision: state.version, isLive: true, fields: fields(of: place)), of: place, from: row)
        }
        continue
      }
      rows[change.place] = Known(state: change.state, sequence: row.sequence, isSeen: rows[change.place]?.isSeen ?? false)
      if let state = change.state, RowChange.isNumbered(change.place) { highest = max(highest, state.incarnation) }
    }
  }

  private mutating func take(_ state: ScopedSecret, of place: String, from row: AuditRow) {
    scoped[place] = (state, row.sequence, scoped[place]?.isSeen ?? false)
  }

  /// Whether the next row that is made may get this number. A chain that was cut tells of no row that was made and deleted before.
  func accepts(next: Int64) -> Bool { isCut ? next > highest : next == highest + 1 }

  /// Compares a stored row with what the chain says; nil when they agree.
  mutating func see(_ place: String, _ state: RowState) -> VerificationFinding.Problem? {
    guard let known = rows[place] else { return .unknown }
    rows[place]?.isSeen = true
    guard let newest = known.state else { return .deletedBefore }
    return newest == state ? nil : .notTheNewest
  }

  /// The same for a live secret of the scoped dialect.
  mutating func seeScoped(_ place: String, _ revision: UInt64) -> VerificationFinding.Problem? {
    guard let known = scoped[place] else { return .unknown }
    scoped[place]?.isSeen = true
    guard known.state.isLive else { return .deletedBefore }
    return known.state.revision == revision ? nil : .notTheNewest
  }

  func fields(of place: String) -> [ScopedField] { scoped[place]?.state.fields ?? [] }

  /// Secrets of the scoped dialect that were not seen, in order.
  var unseenScoped: [(place: String, state: ScopedSecret)] {
    scoped.filter { !$0.value.isSeen }.map { ($0.key, $0.value.state) }.sorted { $0.0 < $1.0 }
  }

  /// What only entries up to `sequence` say of rows that are there, in order of the place.
  func rows(namedUpTo sequence: Int64) -> [RowChange] {
    let plain = rows.compactMap { place, known in
      known.sequence <= sequence ? known.state.map { RowChange(place: place, state: $0) } : nil
    }
    let live = scoped.compactMap { place, known in
      known.sequence <= sequence && known.state.isLive ? RowChange(scoped: place, revision: known.state.revision) : nil
    }
    return (plain + live).sorted { $0.place < $1.place }
  }

  /// Rows that should be there and were not seen, in order.
  var unseen: [String] { rows.filter { !$0.value.isSeen && $0.value.state != nil }.keys.sorted() }
}
