/// The read operations of the scoped dialect. Lists are in order of their last key part and leave sealed values out.
package protocol ScopedStoreReading: AnyObject {
  func team(tenant: String, id: String) throws(StoreError) -> TeamRow?
  func teams(tenant: String, after id: String, limit: Int) throws(StoreError) -> [TeamRow]
  func project(tenant: String, id: String) throws(StoreError) -> ProjectRow?
  func projects(tenant: String, after id: String, limit: Int) throws(StoreError) -> [ProjectRow]
  func agent(tenant: String, id: String) throws(StoreError) -> AgentRow?
  func agents(tenant: String, after id: String, limit: Int) throws(StoreError) -> [AgentRow]
  /// Of one agent; limited by the number of teams and projects.
  func memberships(tenant: String, agent: String) throws(StoreError) -> [MembershipRow]
  /// Of one team or project.
  func members(tenant: String, scope: String, scopeID: String, limit: Int) throws(StoreError) -> [MembershipRow]
  /// Agent keys and child tokens of one agent.
  func apiKeys(tenant: String, agent: String, after id: String, limit: Int) throws(StoreError) -> [APIKeyRow]
  func keyUse(tenant: String, id: String) throws(StoreError) -> KeyUseRow?
  /// In order of id.
  func keyUses(tenant: String, after id: String, limit: Int) throws(StoreError) -> [KeyUseRow]

  func scopedSecret(_ place: ScopeKey, id: String) throws(StoreError) -> ScopedSecretRow?
  /// The live ones.
  func scopedSecrets(_ place: ScopeKey, after id: String, limit: Int) throws(StoreError) -> [ScopedSecretRow]
  /// The soft-deleted ones of one id, newest first.
  func deletedSecrets(_ place: ScopeKey, id: String, limit: Int) throws(StoreError) -> [ScopedSecretRow]
  /// The soft-deleted ones of a tenant that are due, oldest first.
  func dueSecrets(tenant: String, before time: Int64, limit: Int) throws(StoreError) -> [ScopedSecretRow]
  /// Live and soft-deleted ones of a tenant, behind the one with this place, id and grave; `Int64.max` = behind all of that id.
  /// The grave is the stored one, so that a walk ends whatever the other columns say.
  func allSecrets(after place: ScopeKey, id: String, grave: Int64, limit: Int)
    throws(StoreError) -> [(secret: ScopedSecretRow, grave: Int64)]
  /// Those that are canaries, live and soft-deleted, in order of their place.
  func scopedCanaries(tenant: String, limit: Int) throws(StoreError) -> [ScopedSecretRow]
  /// How many live ones a scope has.
  func scopeSize(_ place: ScopeKey) throws(StoreError) -> Int64
  /// A live secret and the newest version of one of its fields, in one look-up.
  func scopedField(_ place: ScopeKey, secret: String, key: String) throws(StoreError) -> (ScopedSecretRow, FieldRow?)?
  /// The newest version of each, live or removed, in order of key.
  func fields(tenant: String, incarnation: UInt64, withValues: Bool) throws(StoreError) -> [FieldRow]
  /// The newest or an earlier one.
  func fieldVersion(tenant: String, incarnation: UInt64, key: String, version: UInt64) throws(StoreError) -> FieldRow?
  /// All versions of a field without values, newest first.
  func fieldVersions(tenant: String, incarnation: UInt64, key: String, limit: Int) throws(StoreError) -> [FieldRow]
  func dataKey(tenant: String, id: [UInt8]) throws(StoreError) -> DataKeyRow?
  /// In order of id.
  func dataKeys(tenant: String, after id: [UInt8], limit: Int) throws(StoreError) -> [DataKeyRow]

  /// By its public id, whatever the tenant.
  func invite(_ id: String) throws(StoreError) -> InviteRow?
  func invites(tenant: String, after id: String, limit: Int) throws(StoreError) -> [InviteRow]
  func idempotentAnswer(tenant: String, id: [UInt8]) throws(StoreError) -> IdempotencyRow?
  /// In order of id.
  func idempotentAnswers(tenant: String, after id: [UInt8], limit: Int) throws(StoreError) -> [IdempotencyRow]
  /// Of one secret, newest first, before the given sequence.
  func auditEntries(_ place: ScopeKey, secret: String, before sequence: Int64, limit: Int) throws(StoreError) -> [AuditRow]
}

/// The write operations of the scoped dialect.
package protocol ScopedStoreWriting: ScopedStoreReading {
  /// Inserts or replaces by tenant and id.
  func put(_ row: TeamRow) throws(StoreError)
  func put(_ row: ProjectRow) throws(StoreError)
  func put(_ row: AgentRow) throws(StoreError)
  func put(_ row: MembershipRow) throws(StoreError)
  func deleteTeam(tenant: String, id: String) throws(StoreError) -> Bool
  func deleteProject(tenant: String, id: String) throws(StoreError) -> Bool
  func deleteAgent(tenant: String, id: String) throws(StoreError) -> Bool
  func deleteMembership(tenant: String, agent: String, scope: String, scopeID: String) throws(StoreError) -> Bool
  func put(_ row: KeyUseRow) throws(StoreError)

  /// Inserts or replaces by place, id and, for a soft-deleted one, incarnation.
  func put(_ row: ScopedSecretRow) throws(StoreError)
  /// The same of a row of which no more changed than what a change of a field changes: revision, versions of fields, who changed it and
  /// when, version of the keys. Throws `conflict` when it is not there.
  func updateHead(_ row: ScopedSecretRow) throws(StoreError)
  /// Takes the row away; its head and its fields stay until `deleteFields`.
  func delete(_ row: ScopedSecretRow) throws(StoreError)
  /// Adds to the number of live secrets of a scope; the new number.
  func resize(_ place: ScopeKey, by difference: Int64) throws(StoreError) -> Int64
  /// Adds a version of a field. Throws `conflict` when it is there.
  func insert(_ row: FieldRow) throws(StoreError)
  /// Changes a version of a field in place. Throws `conflict` when it is not there.
  func update(_ row: FieldRow) throws(StoreError)
  /// This version of a field and those before it, which lie without a gap.
  func deleteFieldVersions(tenant: String, incarnation: UInt64, key: String, through version: UInt64) throws(StoreError)
  /// Every version of every field, and the head of their secret.
  func deleteFields(tenant: String, incarnation: UInt64) throws(StoreError)
  /// Throws `conflict` when the id is taken.
  func insert(_ row: DataKeyRow) throws(StoreError)
  func update(_ row: DataKeyRow) throws(StoreError)

  func put(_ row: InviteRow) throws(StoreError)
  /// Inserts or replaces by tenant and id.
  func put(_ row: IdempotencyRow) throws(StoreError)
  /// Forgets some of the answers that are older than `time`.
  func forgetAnswers(tenant: String, before time: Int64, limit: Int) throws(StoreError)
}
