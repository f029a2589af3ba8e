/// What Coffer needs of a store, as operations of the domain. Implementations hold sealed bytes
/// and plain metadata only; they cannot decrypt. `SQLiteStore` is the first implementation;
/// `StoreConformance` in the tests is what every implementation must pass.
///
/// Tenant is the first part of every key. Ids, times and random bytes come from the caller.
package protocol Store: Sendable {
  /// A reader for one thread. Its reads see the state of the last `refresh`.
  func makeReader() throws(StoreError) -> any StoreReader

  /// Queues `body` for the writer and returns at once. The writer runs queued bodies in order, many to
  /// one durable commit; a body that throws is undone alone. `completion` runs on the writer's
  /// thread after the commit is durable, or with the reason why it is not. A failed commit fails
  /// every body of its batch. `body` must not block, changes nothing but its transaction, and may run
  /// again after what it did was undone.
  func write<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<T, any Error>) -> Void)

  /// Copies the store as it is now into the new file `path`, mode 0600, whole and synced: every write acknowledged before the
  /// call is in it. Blocks its own thread only, readers and writer go on. One copy at a time, else `busy`; a file that is there
  /// is a `conflict`. A copy that fails leaves nothing.
  func backUp(to path: String) throws(StoreError) -> StoreCopy

  /// As `write`, but that `body` runs once only, and nothing of what it removed is left in the store's files when `completion`
  /// comes, unless it is told otherwise: a reader that stands in the way for long delays that to a later commit, or to the end of the process.
  func erase<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<(value: T, isErased: Bool), any Error>) -> Void)
}

/// What a copy of the store holds.
package struct StoreCopy: Sendable, Equatable {
  package struct Chain: Sendable, Equatable {
    package let tenant: String
    package let name: String
    /// nil: the chain is empty.
    package let head: AuditHead?
    package init(tenant: String, name: String, head: AuditHead?) {
      self.tenant = tenant
      self.name = name
      self.head = head
    }
  }

  package let bytes: Int64
  package let schema: Int
  /// Each tenant's audit chain, in order of the tenant's id.
  package let chains: [Chain]
}

package protocol StoreReading: ScopedStoreReading {
  /// Inside a transaction, where what is read may have been written just now and may be undone; nil elsewhere.
  var memo: TransactionMemo? { get }
  /// A named record of the store itself (key check, store id). nil when absent.
  func record(_ name: StaticString) throws(StoreError) -> [UInt8]?
  func tenant(_ id: String) throws(StoreError) -> TenantRow?
  /// The number that `nextSequence` gives next; nil without such a tenant.
  func upcomingSequence(tenant: String) throws(StoreError) -> Int64?
  /// In order of id.
  func tenants(after id: String, limit: Int) throws(StoreError) -> [TenantRow]
  func kek(tenant: String, version: UInt32) throws(StoreError) -> KEKRow?
  /// In order of version.
  func keks(tenant: String, after version: UInt32, limit: Int) throws(StoreError) -> [KEKRow]
  /// How many KEK versions of all tenants each root key wraps, by its id.
  func keksByRootKey() throws(StoreError) -> [String: Int64]
  /// How many rows each KEK version of a tenant seals or authenticates; versions without any are left out. Reads every row of
  /// the tenant: not for a request's way.
  func rowsByKEK(tenant: String) throws(StoreError) -> [UInt32: Int64]
  /// Some of the rows of each kind that one KEK version seals or authenticates. May read every row of the tenant.
  func samples(tenant: String, kekVersion: UInt32, limit: Int) throws(StoreError) -> KEKSamples
  func apiKey(_ id: String) throws(StoreError) -> APIKeyRow?
  /// In order of id.
  func apiKeys(tenant: String, after id: String, limit: Int) throws(StoreError) -> [APIKeyRow]
  func document(tenant: String, collection: String, name: String) throws(StoreError) -> DocumentRow?
  /// In order of name, by bytes.
  func documents(tenant: String, collection: String, after name: String, limit: Int) throws(StoreError) -> [DocumentRow]
  /// Of every collection, in order of collection and name, by bytes.
  func documents(tenant: String, after place: (collection: String, name: String), limit: Int) throws(StoreError) -> [DocumentRow]
  func secret(tenant: String, name: String) throws(StoreError) -> SecretRow?
  /// In order of position.
  func secrets(tenant: String, after position: Int64, limit: Int) throws(StoreError) -> [SecretRow]
  /// The custom secrets that are canaries, in order of name.
  func canaries(tenant: String, limit: Int) throws(StoreError) -> [SecretRow]
  func canaryAlert(tenant: String, place: String) throws(StoreError) -> CanaryAlertRow?
  /// In order of place.
  func canaryAlerts(tenant: String, after place: String, limit: Int) throws(StoreError) -> [CanaryAlertRow]
  func auditHead(tenant: String) throws(StoreError) -> AuditHead?
  /// In order of sequence.
  func auditEntries(tenant: String, after sequence: Int64, limit: Int) throws(StoreError) -> [AuditRow]
  /// What the last cut of the chain left in the place of the entries before it; nil when nothing was cut.
  func auditCheckpoint(tenant: String) throws(StoreError) -> [UInt8]?
  /// What the last change of the root key left of the chain's entries before it; nil when there was none.
  func auditRootChange(tenant: String) throws(StoreError) -> [UInt8]?
  /// Figures of the keys of all tenants, from a walk over them: not for a request's way.
  func keyFigures(now: Int64, expiringBefore limit: Int64) throws(StoreError) -> KeyFigures
}

/// Rows under one KEK version, values included.
package struct KEKSamples: Sendable {
  package var documents: [DocumentRow]
  package var secrets: [SecretRow]
  package var scopedSecrets: [ScopedSecretRow]
  package var fields: [FieldRow]
  package var dataKeys: [DataKeyRow]
}

/// How old the keys are that new rows are sealed with, and how many API keys are about to end. Unix milliseconds.
package struct KeyFigures: Sendable, Equatable {
  /// nil when there is no tenant.
  package let oldestKEK: Int64?
  package let newestKEK: Int64?
  /// Keys that hold now and do not any more at the limit.
  package let expiringKeys: Int64

  package init(oldestKEK: Int64?, newestKEK: Int64?, expiringKeys: Int64) {
    self.oldestKEK = oldestKEK
    self.newestKEK = newestKEK
    self.expiringKeys = expiringKeys
  }
}

/// Of what a turn of a reader sees. Equal in two turns of one reader only when nothing of it was committed between them.
package enum ReadVersion: Sendable, Equatable {
  case number(UInt64)
  /// While a commit is under way, or another process writes: every commit may be one.
  case snapshot(UInt64)
}

/// A place for what was worked out of the rows of a tenant and of its KEKs. It is emptied when such a row is written or undone, and with the
/// transaction.
package final class TransactionMemo {
  package var contents: AnyObject?
}

package enum SnapshotDemand: Sendable {
  /// Everything but audit entries. Whoever reads entries then sees another snapshot from there on, if this one lacks some.
  case contents
  case everything
}

/// Confined to the thread that made it.
package protocol StoreReader: StoreReading {
  /// From here until the next call or `turnEnds` reads see one snapshot, which has what `demand` names of every commit that anybody
  /// was told of before, by the writer or by another reader: that of the turn, where it has. A failure shows in the reads. Reads
  /// outside a turn see the newest state.
  func refresh(_ demand: SnapshotDemand)
  func turnEnds()
  /// Of who may do what: tenants, API keys, agents, memberships, teams and projects. nil outside a turn.
  var structure: ReadVersion? { get }
  /// Of everything but audit entries. nil outside a turn.
  var contents: ReadVersion? { get }
  /// What the store finds wrong with its own structure, a line each; empty when it is sound. Says nothing of sealed contents.
  /// Reads everything: takes seconds for a large store. Outside a turn.
  func damage() throws(StoreError) -> [String]
}

/// Inside the writer, between begin and commit. Reads see the effects of earlier bodies of the batch.
package protocol StoreTransaction: StoreReading, ScopedStoreWriting {
  func setRecord(_ name: StaticString, _ value: [UInt8]) throws(StoreError)
  /// Throws `conflict` when the id or the name is taken.
  func insert(_ row: TenantRow) throws(StoreError)
  func update(_ row: TenantRow) throws(StoreError)
  func insert(_ row: KEKRow) throws(StoreError)
  func update(_ row: KEKRow) throws(StoreError)
  func insert(_ row: APIKeyRow) throws(StoreError)
  func update(_ row: APIKeyRow) throws(StoreError)
  /// Inserts or replaces by (tenant, collection, name).
  func put(_ row: DocumentRow) throws(StoreError)
  func deleteDocument(tenant: String, collection: String, name: String) throws(StoreError) -> Bool
  /// Inserts or replaces by (tenant, name).
  func put(_ row: SecretRow) throws(StoreError)
  func deleteSecret(tenant: String, name: String) throws(StoreError) -> Bool
  /// Inserts or replaces by (tenant, place).
  func put(_ row: CanaryAlertRow) throws(StoreError)
  func forgetCanaryAlerts(tenant: String, place: String) throws(StoreError)
  /// The next free position and incarnation of the tenant: never given twice, also after deletions.
  func nextSequence(tenant: String) throws(StoreError) -> Int64
  /// Throws `conflict` unless `sequence` is the head's plus one.
  func append(_ row: AuditRow) throws(StoreError)
  /// Cuts the entries up to and with `sequence`, and leaves `checkpoint` in their place.
  func trimAudit(tenant: String, through sequence: Int64, checkpoint: [UInt8]) throws(StoreError)
  /// Inserts or replaces them; nothing is cut.
  func setAuditCheckpoint(tenant: String, _ bytes: [UInt8]) throws(StoreError)
  func setAuditRootChange(tenant: String, _ bytes: [UInt8]) throws(StoreError)
  /// Removes everything a tenant has, its KEKs first of all. Its own row and its audit chain stay.
  func deleteContents(ofTenant id: String) throws(StoreError)
}
