internal import KeyRing
internal import Store

extension ChainState {
  /// What the chain says of one secret of the scoped dialect.
  struct ScopedSecret {
    var revision: UInt64
    /// False once it was deleted.
    var isLive: Bool
    /// Those that an entry named since the secret was made or restored.
    var fields: [ScopedField] = []
  }

  struct ScopedField {
    let key: String
    let version: UInt64
    let isRemoved: Bool
  }

  static func scopedPlace(_ scope: String, _ scopeID: String, _ secret: String) -> String { "\(scope)/\(scopeID)/\(secret)" }

  /// The place of a secret of the scoped dialect that an entry names among rows; nil for the row of another kind.
  static func scopedPlace(in place: String) -> String? {
    place.hasPrefix(RowChange.scopedPrefix) ? String(place.dropFirst(RowChange.scopedPrefix.count)) : nil
  }

  /// The newest revision that an entry names, when it changed a secret.
  static func scopedChange(_ row: AuditRow) -> (place: String, state: ScopedSecret)? {
    guard !row.scope.isEmpty, row.outcome == AuditEvent.Outcome.allowed.rawValue, let revision = UInt64(row.revision) else { return nil }
    let place = scopedPlace(row.scope, row.scopeID, row.secretID)
    switch row.action {
    case "secret.created", "secret.replaced", "secret.metadata_updated", "secret.restored", "field.set", "field.removed",
      "field.rolled_back":
      return (place, ScopedSecret(revision: revision, isLive: true))
    case "secret.deleted": return (place, ScopedSecret(revision: revision, isLive: false))
    default: return nil
    }
  }

  /// What `row` leaves of what was known of a secret's fields.
  static func fields(_ known: [ScopedField], after row: AuditRow) -> [ScopedField] {
    switch row.action {
    // Which of several deleted secrets of one id came back, the entry does not say.
    case "secret.created", "secret.restored": return []
    case "field.set", "field.removed", "field.rolled_back":
      let rest = known.filter { $0.key != row.fieldKey }
      guard let version = AuditDetails.fieldVersion(in: row.details) else { return rest }
      return rest + [ScopedField(key: row.fieldKey, version: version.number, isRemoved: row.action == "field.removed")]
    default: return known
    }
  }
}

extension RowChange {
  static let scopedPrefix = "scoped_secrets/"

  /// As a cut names it again: elsewhere the columns of an entry say which secret changed.
  init(scoped place: String, revision: UInt64) {
    self.init(place: Self.scopedPrefix + place, state: RowState(incarnation: 0, version: revision))
  }
}

extension Verification {
  /// The rows of the scoped dialect: structure, secrets, fields and their data keys.
  func checkScoped(_ chain: inout ChainState) throws(ServiceError) {
    try turn(&chain) { chain throws(ServiceError) in try checkStructure(&chain) }
    var last: (place: ScopeKey, id: String, grave: Int64)? = (ScopeKey(tenant: chain.tenant, scope: "", scopeID: ""), "", 0)
    while let position = last {
      try turn(&chain) { chain throws(ServiceError) in
        let rows = try stored { () throws(StoreError) in
          try reader.allSecrets(after: position.place, id: position.id, grave: position.grave, limit: Self.page)
        }
        for row in rows { try check(row.secret, &chain) }
        last = rows.count == Self.page ? rows.last.map { ($0.secret.place, $0.secret.secretID, $0.grave) } : nil
      }
    }
    try pages(&chain) { (reader, last: KeyUseRow?, tenant) throws(StoreError) in
      try reader.keyUses(tenant: tenant, after: last?.id ?? "", limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      try prove(row, "key_uses/" + row.id, chain.tenant)
    }
    try pages(&chain) { (reader, last: CanaryAlertRow?, tenant) throws(StoreError) in
      try reader.canaryAlerts(tenant: tenant, after: last?.place ?? "", limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      try prove(row, "canary_alerts/" + row.place, chain.tenant)
    }
    try pages(&chain) { (reader, last: IdempotencyRow?, tenant) throws(StoreError) in
      try reader.idempotentAnswers(tenant: tenant, after: last?.id ?? [], limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      try prove(row, "idempotency/" + WireText.hexadecimalText(row.id), chain.tenant)
    }
    try pages(&chain) { (reader, last: DataKeyRow?, tenant) throws(StoreError) in
      try reader.dataKeys(tenant: tenant, after: last?.id ?? [], limit: Self.page)
    } each: { row, chain throws(ServiceError) in
      try judge("data_keys/\(WireText.hexadecimalText(row.id))", chain.tenant) { () throws(ServiceError) in
        _ = try service.verified(row, in: reader)
      }
    }
    try turn(&chain) { chain throws(ServiceError) in
      // Made behind the walk, or gone without an entry.
      for (place, state) in chain.unseenScoped where state.isLive { try checkUnseen(place, &chain) }
    }
  }

  private func checkUnseen(_ place: String, _ chain: inout ChainState) throws(ServiceError) {
    let parts = place.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3 else { return }
    let row = try stored { () throws(StoreError) in
      try reader.scopedSecret(ScopeKey(tenant: chain.tenant, scope: parts[0], scopeID: parts[1]), id: parts[2])
    }
    if let row { try check(row, &chain) } else { report.add(.missing, "scoped_secrets/" + place, tenant: chain.tenant) }
  }

  private func checkStructure(_ chain: inout ChainState) throws(ServiceError) {
    let tenant = chain.tenant
    for row in try all({ (id) throws(StoreError) in try reader.teams(tenant: tenant, after: id, limit: Self.page) }, \TeamRow.id) {
      try check(row, &chain)
    }
    for row in try all({ (id) throws(StoreError) in try reader.projects(tenant: tenant, after: id, limit: Self.page) }, \ProjectRow.id) {
      try check(row, &chain)
    }
    for row in try all({ (id) throws(StoreError) in try reader.invites(tenant: tenant, after: id, limit: Self.page) }, \InviteRow.id) {
      try check(row, &chain)
    }
    for row in try all({ (id) throws(StoreError) in try reader.agents(tenant: tenant, after: id, limit: Self.page) }, \AgentRow.id) {
      try check(row, &chain)
      for member in try stored({ () throws(StoreError) in try reader.memberships(tenant: tenant, agent: row.id) }) {
        try check(member, &chain)
      }
    }
    // In the same snapshot: what the chain names and was not there is gone.
    for place in chain.unseen where RowChange.isStructure(place) { report.add(.missing, place, tenant: tenant) }
  }

  private func check(_ row: some StructureRow, _ chain: inout ChainState) throws(ServiceError) {
    try prove(row, row.chainPlace, chain.tenant)
    switch chain.see(row.chainPlace, row.state) {
    case nil: return
    // Entries of older programs do not name these rows.
    case .unknown: return
    case let problem?: report.add(problem, row.chainPlace, tenant: chain.tenant)
    }
  }

  private func check(_ row: ScopedSecretRow, _ chain: inout ChainState) throws(ServiceError) {
    report.secrets += 1
    let place = ChainState.scopedPlace(row.place.scope, row.place.scopeID, row.secretID)
    try judge("scoped_secrets/" + place, chain.tenant) { () throws(ServiceError) in _ = try service.verified(row, in: reader) }
    if row.isCanary { compare(Canary(row), &chain) }
    if row.deletedAt == nil, let problem = chain.seeScoped(place, row.revision) {
      report.add(problem, "scoped_secrets/" + place, tenant: chain.tenant)
    }
    let fields = try stored { () throws(StoreError) in
      try reader.fields(tenant: chain.tenant, incarnation: row.incarnation, withValues: true)
    }
    compare(fields, of: row, place, chain)
    for field in fields {
      try check(field, of: row, place)
      let earlier = try stored { () throws(StoreError) in
        try reader.fieldVersions(tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, limit: Self.page)
      }
      for version in earlier where version.version < field.version {
        let whole = try stored { () throws(StoreError) in
          try reader.fieldVersion(tenant: field.tenant, incarnation: field.incarnation, key: field.fieldKey, version: version.version)
        }
        if let whole { try check(whole, of: row, place) }
      }
    }
  }

  /// With the versions that the secret names, and with what the chain says of a live one.
  private func compare(_ rows: [FieldRow], of secret: ScopedSecretRow, _ place: String, _ chain: ChainState) {
    // Nothing of them is proven yet: two keys may be one when bytes that are no text are read.
    let versions = Dictionary(rows.map { ($0.fieldKey, $0.version) }, uniquingKeysWith: max)
    var wrong: Set<String> = []
    if !secret.fieldVersions.isEmpty {
      let named = NewestVersions(secret.fieldVersions)?.entries ?? []
      for (key, version) in named where versions[key] != version { wrong.insert(key) }
      wrong.formUnion(Set(versions.keys).subtracting(named.map(\.key)))
    }
    for field in chain.fields(of: place) where secret.deletedAt == nil {
      let row = rows.first { $0.fieldKey == field.key }
      if row?.version != field.version || (row?.state == .live) == field.isRemoved { wrong.insert(field.key) }
    }
    for key in wrong.sorted() {
      report.add(versions[key] == nil ? .missing : .notTheNewest, "fields/\(place)/\(key)", tenant: chain.tenant)
    }
  }

  private func check(_ field: FieldRow, of secret: ScopedSecretRow, _ place: String) throws(ServiceError) {
    let fieldPlace = "fields/\(place)/\(field.fieldKey)/\(field.version)"
    do throws(ServiceError) { _ = try service.verified(field, in: reader) } catch {
      return report.add(.changed, fieldPlace, tenant: field.tenant)
    }
    if field.state == .removed, field.purgeAfter == nil {
      // Of a removed field whose deletion window is over only the fact is left.
      if !field.sealed.isEmpty { report.add(.changed, fieldPlace, tenant: field.tenant) }
      return
    }
    let keys = try? service.vault.keys(tenant: field.tenant, version: field.kekVersion, in: reader)
    guard let keys, (try? keys.open(field, of: secret)) != nil else { return report.add(.doesNotOpen, fieldPlace, tenant: field.tenant) }
    guard !field.dataKeyID.isEmpty else { return }
    let key = try stored { () throws(StoreError) in try reader.dataKey(tenant: field.tenant, id: field.dataKeyID) }
    if key == nil { report.add(.missing, "data_keys/\(place)/\(field.fieldKey)", tenant: field.tenant) }
  }

  // MARK: - Walking

  private func all<Row>(_ read: (String) throws(StoreError) -> [Row], _ id: (Row) -> String) throws(ServiceError) -> [Row] {
    var found: [Row] = []
    while true {
      let rows = try stored { () throws(StoreError) in try read(found.last.map(id) ?? "") }
      found += rows
      if rows.count < Self.page { return found }
    }
  }

  /// A row whose MAC does not fit is a finding; what the store cannot do now ends the verification.
  private func judge(_ place: String, _ tenant: String, _ body: () throws(ServiceError) -> Void) throws(ServiceError) {
    do { try body() } catch {
      guard case .unreadable = error else { throw error }
      report.add(.changed, place, tenant: tenant)
    }
  }
}
