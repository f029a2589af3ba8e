/// What Coffer needs of a store, as operations of the domain. Implementations hold sealed bytes
/// and plain metadata only; they cannot decrypt. `SQLiteStore` is the first implementation;
/// `StoreConformance` in the tests is what every implementation must pass.
///
/// Tenant is the first part of every key. Ids, times and random bytes come from the caller.
package protocol Store: Sendable {
  /// A reader for one thread. Its reads see the state of the last `turnBegins`.
  func makeReader() throws(StoreError) -> any StoreReader

  /// Queues `body` for the writer and returns at once. The writer runs queued bodies in order, many to
  /// one durable commit; a body that throws is undone alone. `completion` runs on the writer's
  /// thread after the commit is durable, or with the reason why it is not. A failed commit fails
  /// every body of its batch. `body` must not block and must be safe to run once only.
  func write<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<T, any Error>) -> Void)
}

package enum StoreError: Error, Sendable, Equatable {
  /// A uniqueness or version condition does not hold.
  case conflict
  /// Try again: the store is locked or the queue is full.
  case busy
  /// The store cannot be written now (disk full, read-only); nothing was changed.
  case unavailable(Unavailability)
  /// The commit may or may not have happened; the process must restart and recover.
  case unknownOutcome
  /// The file is damaged or is not a Coffer store.
  case corrupt
  /// The store was written by a newer program.
  case newerSchema(found: Int, supported: Int)
  /// Another process has the store.
  case locked
  /// The directory is on a network file system.
  case networkFileSystem

  package enum Unavailability: Sendable, Equatable { case diskFull, readOnly, draining, ioError }
}

// MARK: - Rows

/// A tenant. `state` is `active` or `deleted`.
package struct TenantRow: Sendable, Equatable {
  package var id: String
  package var name: String
  package var createdAt: Int64
  package var activeKEKVersion: UInt32
  package var mac: [UInt8]
  package init(id: String, name: String, createdAt: Int64, activeKEKVersion: UInt32, mac: [UInt8]) {
    self.id = id
    self.name = name
    self.createdAt = createdAt
    self.activeKEKVersion = activeKEKVersion
    self.mac = mac
  }
}

/// One version of a tenant's key encryption key, wrapped by the root key.
package struct KEKRow: Sendable, Equatable {
  package var tenant: String
  package var version: UInt32
  /// 16 bytes.
  package var kekID: [UInt8]
  package var rootKeyID: String
  /// nonce(12) || ciphertext(32) || tag(16)
  package var wrapped: [UInt8]
  package var createdAt: Int64
  /// Wraps reserved so far: a block is reserved before it is used, so a crash skips and never repeats.
  package var wrapsReserved: Int64
  package init(tenant: String, version: UInt32, kekID: [UInt8], rootKeyID: String, wrapped: [UInt8], createdAt: Int64, wrapsReserved: Int64)
  {
    self.tenant = tenant
    self.version = version
    self.kekID = kekID
    self.rootKeyID = rootKeyID
    self.wrapped = wrapped
    self.createdAt = createdAt
    self.wrapsReserved = wrapsReserved
  }
}

/// An API key of either dialect or of the admin surface. The key itself is stored nowhere.
package struct APIKeyRow: Sendable, Equatable {
  /// 16 characters of 0-9A-Za-z; public.
  package var id: String
  package var tenant: String
  /// `session` (settings dialect) or `admin`; others come with the scoped dialect.
  package var kind: String
  /// For session keys the level: `masked`, `frontend`, `backend`, `lookup`.
  package var role: String
  package var name: String
  /// SHA-256, 32 bytes.
  package var digest: [UInt8]
  package var createdAt: Int64
  /// Unix milliseconds; nil = never.
  package var expiresAt: Int64?
  package var revokedAt: Int64?
  package var mac: [UInt8]
  package init(
    id: String, tenant: String, kind: String, role: String, name: String, digest: [UInt8], createdAt: Int64, expiresAt: Int64?,
    revokedAt: Int64?,
    mac: [UInt8]
  ) {
    self.id = id
    self.tenant = tenant
    self.kind = kind
    self.role = role
    self.name = name
    self.digest = digest
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.revokedAt = revokedAt
    self.mac = mac
  }
}

/// A sealed document of a tenant: the settings, later profiles and connections.
package struct DocumentRow: Sendable, Equatable {
  package var tenant: String
  package var collection: String
  package var name: String
  package var incarnation: UInt64
  /// 1 for the first; the ETag of the settings dialect.
  package var version: UInt64
  package var kekVersion: UInt32
  package var sealed: [UInt8]
  package var createdAt: Int64
  package var updatedAt: Int64
  package init(
    tenant: String, collection: String, name: String, incarnation: UInt64, version: UInt64, kekVersion: UInt32, sealed: [UInt8],
    createdAt: Int64,
    updatedAt: Int64
  ) {
    self.tenant = tenant
    self.collection = collection
    self.name = name
    self.incarnation = incarnation
    self.version = version
    self.kekVersion = kekVersion
    self.sealed = sealed
    self.createdAt = createdAt
    self.updatedAt = updatedAt
  }
}

/// A custom secret of the settings dialect.
package struct SecretRow: Sendable, Equatable {
  package var tenant: String
  package var name: String
  /// Order of arrival within the tenant; an update keeps it.
  package var position: Int64
  package var description: String?
  package var incarnation: UInt64
  package var version: UInt64
  package var kekVersion: UInt32
  package var sealed: [UInt8]
  package var createdAt: Int64
  package var updatedAt: Int64
  /// HMAC over every plain column.
  package var mac: [UInt8]
  package init(
    tenant: String, name: String, position: Int64, description: String?, incarnation: UInt64, version: UInt64, kekVersion: UInt32,
    sealed: [UInt8],
    createdAt: Int64, updatedAt: Int64, mac: [UInt8]
  ) {
    self.tenant = tenant
    self.name = name
    self.position = position
    self.description = description
    self.incarnation = incarnation
    self.version = version
    self.kekVersion = kekVersion
    self.sealed = sealed
    self.createdAt = createdAt
    self.updatedAt = updatedAt
    self.mac = mac
  }
}

/// One entry of a tenant's audit chain. Texts are ASCII-safe; `details` is canonical JSON.
package struct AuditRow: Sendable, Equatable {
  package var tenant: String
  package var sequence: Int64
  /// RFC 3339, UTC, milliseconds.
  package var at: String
  package var actorType: String
  package var actorID: String
  package var keyID: String
  package var action: String
  package var scope: String
  package var scopeID: String
  package var secretID: String
  package var fieldKey: String
  package var revision: String
  package var outcome: String
  package var requestID: String
  package var details: String
  /// 32 bytes each.
  package var hash: [UInt8]
  package var mac: [UInt8]
  package init(
    tenant: String, sequence: Int64, at: String, actorType: String, actorID: String, keyID: String, action: String, scope: String,
    scopeID: String,
    secretID: String, fieldKey: String, revision: String, outcome: String, requestID: String, details: String, hash: [UInt8], mac: [UInt8]
  ) {
    self.tenant = tenant
    self.sequence = sequence
    self.at = at
    self.actorType = actorType
    self.actorID = actorID
    self.keyID = keyID
    self.action = action
    self.scope = scope
    self.scopeID = scopeID
    self.secretID = secretID
    self.fieldKey = fieldKey
    self.revision = revision
    self.outcome = outcome
    self.requestID = requestID
    self.details = details
    self.hash = hash
    self.mac = mac
  }
}

/// The last entry of a chain: what the next one is linked to.
package struct AuditHead: Sendable, Equatable {
  package var sequence: Int64
  package var hash: [UInt8]
  package init(sequence: Int64, hash: [UInt8]) {
    self.sequence = sequence
    self.hash = hash
  }
}

// MARK: - Operations

package protocol StoreReading: AnyObject {
  /// A named record of the store itself (key check, store id). nil when absent.
  func record(_ name: StaticString) throws(StoreError) -> [UInt8]?
  func tenant(_ id: String) throws(StoreError) -> TenantRow?
  /// In order of id.
  func tenants(after id: String, limit: Int) throws(StoreError) -> [TenantRow]
  func kek(tenant: String, version: UInt32) throws(StoreError) -> KEKRow?
  func apiKey(_ id: String) throws(StoreError) -> APIKeyRow?
  /// In order of id.
  func apiKeys(tenant: String, after id: String, limit: Int) throws(StoreError) -> [APIKeyRow]
  func document(tenant: String, collection: String, name: String) throws(StoreError) -> DocumentRow?
  func secret(tenant: String, name: String) throws(StoreError) -> SecretRow?
  /// In order of position.
  func secrets(tenant: String, after position: Int64, limit: Int) throws(StoreError) -> [SecretRow]
  func auditHead(tenant: String) throws(StoreError) -> AuditHead?
  /// In order of sequence.
  func auditEntries(tenant: String, after sequence: Int64, limit: Int) throws(StoreError) -> [AuditRow]
}

/// Confined to the thread that made it.
package protocol StoreReader: StoreReading {
  /// Starts the snapshot that every read until `turnEnds` sees. Reads outside a turn see the newest state.
  func turnBegins() throws(StoreError)
  func turnEnds()
}

/// Inside the writer, between begin and commit. Reads see the effects of earlier bodies of the batch.
package protocol StoreTransaction: StoreReading {
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
  /// The next free position and incarnation of the tenant: never given twice, also after deletions.
  func nextSequence(tenant: String) throws(StoreError) -> Int64
  /// Throws `conflict` unless `sequence` is the head's plus one.
  func append(_ row: AuditRow) throws(StoreError)
}
