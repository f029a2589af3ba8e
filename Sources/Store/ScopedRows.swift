/// A team of a tenant.
package struct TeamRow: Sendable, Equatable {
  package var tenant: String
  package var id: String
  package var name: String
  package var createdAt: Int64
  package var mac: [UInt8]
  package init(tenant: String, id: String, name: String, createdAt: Int64, mac: [UInt8]) {
    self.tenant = tenant
    self.id = id
    self.name = name
    self.createdAt = createdAt
    self.mac = mac
  }
}

/// A project of a tenant, in a team or in none.
package struct ProjectRow: Sendable, Equatable {
  package var tenant: String
  package var id: String
  package var name: String
  package var team: String?
  package var createdAt: Int64
  package var mac: [UInt8]
  package init(tenant: String, id: String, name: String, team: String?, createdAt: Int64, mac: [UInt8]) {
    self.tenant = tenant
    self.id = id
    self.name = name
    self.team = team
    self.createdAt = createdAt
    self.mac = mac
  }
}

package struct AgentRow: Sendable, Equatable {
  package var tenant: String
  package var id: String
  package var name: String
  package var description: String
  package var createdAt: Int64
  package var createdBy: String
  /// Unix milliseconds; nil = enabled.
  package var disabledAt: Int64?
  package var mac: [UInt8]
  package init(
    tenant: String, id: String, name: String, description: String, createdAt: Int64, createdBy: String, disabledAt: Int64?, mac: [UInt8]
  ) {
    self.tenant = tenant
    self.id = id
    self.name = name
    self.description = description
    self.createdAt = createdAt
    self.createdBy = createdBy
    self.disabledAt = disabledAt
    self.mac = mac
  }
}

/// An agent's place in a team or project.
package struct MembershipRow: Sendable, Equatable {
  package var tenant: String
  package var agent: String
  /// `team` or `project`.
  package var scope: String
  package var scopeID: String
  package var role: String
  package var priority: Int64
  /// Unix milliseconds; nil = for good.
  package var expiresAt: Int64?
  package var createdAt: Int64
  package var mac: [UInt8]
  package init(
    tenant: String, agent: String, scope: String, scopeID: String, role: String, priority: Int64, expiresAt: Int64?, createdAt: Int64,
    mac: [UInt8]
  ) {
    self.tenant = tenant
    self.agent = agent
    self.scope = scope
    self.scopeID = scopeID
    self.role = role
    self.priority = priority
    self.expiresAt = expiresAt
    self.createdAt = createdAt
    self.mac = mac
  }
}

/// Where scoped secrets live: one scope of a tenant.
package struct ScopeKey: Sendable, Hashable {
  package var tenant: String
  /// `org`, `team`, `project` or `agent`.
  package var scope: String
  package var scopeID: String
  package init(tenant: String, scope: String, scopeID: String) {
    self.tenant = tenant
    self.scope = scope
    self.scopeID = scopeID
  }
}

/// A secret of the scoped dialect without its fields. Soft-deleted ones stay beside the live one of the same id.
package struct ScopedSecretRow: Sendable, Equatable {
  package var place: ScopeKey
  package var secretID: String
  /// Random, never 0: tells a re-created secret from its predecessor.
  package var incarnation: UInt64
  package var name: String
  package var category: String
  /// A JSON array of texts.
  package var tags: String
  package var revision: UInt64
  package var kekVersion: UInt32
  package var createdAt: Int64
  package var updatedAt: Int64
  package var createdBy: String
  package var updatedBy: String
  /// Unix milliseconds; nil = live.
  package var deletedAt: Int64?
  package var purgeAfter: Int64?
  /// Whoever reads it raises an alert.
  package var isCanary: Bool
  /// The newest version of each field that it has or had. Empty when it has none, or no change and no new key since schema 7.
  package var fieldVersions: String
  package var mac: [UInt8]
  package init(
    place: ScopeKey, secretID: String, incarnation: UInt64, name: String, category: String, tags: String, revision: UInt64,
    kekVersion: UInt32, createdAt: Int64, updatedAt: Int64, createdBy: String, updatedBy: String, deletedAt: Int64?, purgeAfter: Int64?,
    isCanary: Bool = false, fieldVersions: String = "", mac: [UInt8]
  ) {
    self.place = place
    self.secretID = secretID
    self.incarnation = incarnation
    self.name = name
    self.category = category
    self.tags = tags
    self.revision = revision
    self.kekVersion = kekVersion
    self.createdAt = createdAt
    self.updatedAt = updatedAt
    self.createdBy = createdBy
    self.updatedBy = updatedBy
    self.deletedAt = deletedAt
    self.purgeAfter = purgeAfter
    self.isCanary = isCanary
    self.fieldVersions = fieldVersions
    self.mac = mac
  }
}

/// One version of a field: the newest, or an earlier one that is retained.
package struct FieldRow: Sendable, Equatable {
  package enum State: String, Sendable {
    /// Can be read. Every version is written with it and keeps it when a newer one comes.
    case live = "current"
    /// The newest version of a field that was removed.
    case removed
    /// An earlier version that can be read, from before schema 7. Never the newest.
    case retained
  }
  package var tenant: String
  /// Of the secret.
  package var incarnation: UInt64
  package var fieldKey: String
  package var version: UInt64
  package var state: State
  /// `plaintext` or `encrypted`, as it goes over the wire; stored it is always sealed.
  package var sensitivity: String
  /// 16 bytes for an encrypted field; empty for a plaintext one.
  package var dataKeyID: [UInt8]
  package var kekVersion: UInt32
  package var createdAt: Int64
  package var createdBy: String
  /// Of a removed field: until when its removal is remembered.
  package var purgeAfter: Int64?
  package var mac: [UInt8]
  /// Empty in lists, and in a removed field whose deletion window is over.
  package var sealed: [UInt8]
  package init(
    tenant: String, incarnation: UInt64, fieldKey: String, version: UInt64, state: State, sensitivity: String, dataKeyID: [UInt8],
    kekVersion: UInt32, createdAt: Int64, createdBy: String, purgeAfter: Int64?, mac: [UInt8], sealed: [UInt8]
  ) {
    self.tenant = tenant
    self.incarnation = incarnation
    self.fieldKey = fieldKey
    self.version = version
    self.state = state
    self.sensitivity = sensitivity
    self.dataKeyID = dataKeyID
    self.kekVersion = kekVersion
    self.createdAt = createdAt
    self.createdBy = createdBy
    self.purgeAfter = purgeAfter
    self.mac = mac
    self.sealed = sealed
  }
}

/// A data key that sealed something once. The row stays for good, so that no key is ever used twice.
package struct DataKeyRow: Sendable, Equatable {
  package var tenant: String
  /// 16 bytes.
  package var id: [UInt8]
  package var incarnation: UInt64
  package var fieldKey: String
  /// The newest version of the field that the key backs.
  package var fieldVersion: UInt64
  /// Of the envelope: 32 bytes.
  package var digest: [UInt8]
  package var kekVersion: UInt32
  package var boundAt: Int64
  package var mac: [UInt8]
  package init(
    tenant: String, id: [UInt8], incarnation: UInt64, fieldKey: String, fieldVersion: UInt64, digest: [UInt8], kekVersion: UInt32,
    boundAt: Int64, mac: [UInt8]
  ) {
    self.tenant = tenant
    self.id = id
    self.incarnation = incarnation
    self.fieldKey = fieldKey
    self.fieldVersion = fieldVersion
    self.digest = digest
    self.kekVersion = kekVersion
    self.boundAt = boundAt
    self.mac = mac
  }
}

/// What an agent may enrol with. The token itself is stored nowhere.
package struct InviteRow: Sendable, Equatable {
  package var tenant: String
  /// 16 characters of 0-9A-Za-z; public.
  package var id: String
  package var label: String
  /// SHA-256, 32 bytes.
  package var digest: [UInt8]
  /// A JSON array of memberships.
  package var memberships: String
  package var expiresAt: Int64
  package var maxUses: Int64
  package var uses: Int64
  package var createdAt: Int64
  package var createdBy: String
  package var revokedAt: Int64?
  package var mac: [UInt8]
  package init(
    tenant: String, id: String, label: String, digest: [UInt8], memberships: String, expiresAt: Int64, maxUses: Int64, uses: Int64,
    createdAt: Int64, createdBy: String, revokedAt: Int64?, mac: [UInt8]
  ) {
    self.tenant = tenant
    self.id = id
    self.label = label
    self.digest = digest
    self.memberships = memberships
    self.expiresAt = expiresAt
    self.maxUses = maxUses
    self.uses = uses
    self.createdAt = createdAt
    self.createdBy = createdBy
    self.revokedAt = revokedAt
    self.mac = mac
  }
}

/// The answer of a request that carried an Idempotency-Key, kept for its repetitions. It holds no value and no key.
package struct IdempotencyRow: Sendable, Equatable {
  package var tenant: String
  /// SHA-256 over key id, method, path and Idempotency-Key.
  package var id: [UInt8]
  /// Of the request's body.
  package var bodyDigest: [UInt8]
  package var status: Int64
  /// Empty when the answer has none.
  package var entityTag: String
  package var body: [UInt8]
  package var createdAt: Int64
  package var mac: [UInt8]
  package init(
    tenant: String, id: [UInt8], bodyDigest: [UInt8], status: Int64, entityTag: String, body: [UInt8], createdAt: Int64, mac: [UInt8]
  ) {
    self.tenant = tenant
    self.id = id
    self.bodyDigest = bodyDigest
    self.status = status
    self.entityTag = entityTag
    self.body = body
    self.createdAt = createdAt
    self.mac = mac
  }
}

/// How often and when a key was used last: apart from the key's own row, since it changes without anybody's decision. A key that may be
/// used a number of times only has one from the beginning.
package struct KeyUseRow: Sendable, Equatable {
  package var tenant: String
  package var id: String
  package var lastUsedAt: Int64
  package var uses: Int64
  package var mac: [UInt8]
  package init(tenant: String, id: String, lastUsedAt: Int64, uses: Int64, mac: [UInt8]) {
    self.tenant = tenant
    self.id = id
    self.lastUsedAt = lastUsedAt
    self.uses = uses
    self.mac = mac
  }
}
