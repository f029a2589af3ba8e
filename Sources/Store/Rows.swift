/// A tenant. Of a deleted one the row stays, with KEK version 0, for the sake of its audit chain.
package struct TenantRow: Sendable, Equatable {
  package var id: String
  package var name: String
  package var createdAt: Int64
  package var activeKEKVersion: UInt32
  /// A JSON object of what differs from the defaults; empty when nothing does.
  package var settings: String
  package var mac: [UInt8]
  package var isDeleted: Bool { activeKEKVersion == 0 }
  package init(id: String, name: String, createdAt: Int64, activeKEKVersion: UInt32, settings: String = "", mac: [UInt8]) {
    self.id = id
    self.name = name
    self.createdAt = createdAt
    self.activeKEKVersion = activeKEKVersion
    self.settings = settings
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
  /// nonce(12) || ciphertext(32) || tag(16); empty once the version was disabled: its key is gone for good.
  package var wrapped: [UInt8]
  package var createdAt: Int64
  /// Wraps reserved so far: a block is reserved before it is used, so a crash skips and never repeats.
  package var wrapsReserved: Int64
  package var mac: [UInt8]
  package var isDisabled: Bool { wrapped.isEmpty }
  package init(
    tenant: String, version: UInt32, kekID: [UInt8], rootKeyID: String, wrapped: [UInt8], createdAt: Int64, wrapsReserved: Int64,
    mac: [UInt8]
  ) {
    self.tenant = tenant
    self.version = version
    self.kekID = kekID
    self.rootKeyID = rootKeyID
    self.wrapped = wrapped
    self.createdAt = createdAt
    self.wrapsReserved = wrapsReserved
    self.mac = mac
  }
}

/// An API key of either dialect or of the admin surface. The key itself is stored nowhere.
package struct APIKeyRow: Sendable, Equatable {
  /// 16 characters of 0-9A-Za-z; public.
  package var id: String
  package var tenant: String
  /// `session` (settings dialect), `admin`, `agent` or `child` (a short-lived token of an agent key).
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
  /// What agent keys and child tokens have besides; nil for the others.
  package var agent: AgentKeyPart?
  package var mac: [UInt8]
  package init(
    id: String, tenant: String, kind: String, role: String, name: String, digest: [UInt8], createdAt: Int64, expiresAt: Int64?,
    revokedAt: Int64?, agent: AgentKeyPart? = nil, mac: [UInt8]
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
    self.agent = agent
    self.mac = mac
  }
}

/// The part of a key's row that only agent keys and child tokens have.
package struct AgentKeyPart: Sendable, Equatable {
  package var agent: String
  /// Of a child token: the id of the key it came from; empty otherwise.
  package var parent: String
  /// A JSON object: capabilities, scopes, secret ids, networks, rate limits.
  package var grants: String
  package var createdBy: String
  /// nil = any number.
  package var maxUses: Int64?
  /// The key was replaced by another and ends at its expiry.
  package var isRetiring: Bool
  package init(agent: String, parent: String, grants: String, createdBy: String, maxUses: Int64?, isRetiring: Bool) {
    self.agent = agent
    self.parent = parent
    self.grants = grants
    self.createdBy = createdBy
    self.maxUses = maxUses
    self.isRetiring = isRetiring
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
  package init(
    tenant: String, collection: String, name: String, incarnation: UInt64, version: UInt64, kekVersion: UInt32, sealed: [UInt8]
  ) {
    self.tenant = tenant
    self.collection = collection
    self.name = name
    self.incarnation = incarnation
    self.version = version
    self.kekVersion = kekVersion
    self.sealed = sealed
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
  /// Whoever reads it raises an alert.
  package var isCanary: Bool
  /// HMAC over every plain column.
  package var mac: [UInt8]
  package init(
    tenant: String, name: String, position: Int64, description: String?, incarnation: UInt64, version: UInt64, kekVersion: UInt32,
    sealed: [UInt8],
    createdAt: Int64, updatedAt: Int64, isCanary: Bool = false, mac: [UInt8]
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
    self.isCanary = isCanary
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
  /// No chain gets as far as their end.
  static let sequences = 1...(Int64(1) << 62)

  package var sequence: Int64
  package var hash: [UInt8]
  /// RFC 3339, UTC, milliseconds; empty where only the link counts. No part of what makes two heads equal.
  package var at: String
  package init(sequence: Int64, at: String = "", hash: [UInt8]) {
    self.sequence = sequence
    self.at = at
    self.hash = hash
  }

  package static func == (left: AuditHead, right: AuditHead) -> Bool { left.sequence == right.sequence && left.hash == right.hash }
}

/// What was seen of one canary secret since it was marked: apart from its row, since it changes without anybody's decision.
package struct CanaryAlertRow: Sendable, Equatable {
  package var tenant: String
  /// As the audit chain names it.
  package var place: String
  package var alerts: Int64
  /// Unix milliseconds.
  package var lastAt: Int64
  package var mac: [UInt8]
  package init(tenant: String, place: String, alerts: Int64, lastAt: Int64, mac: [UInt8]) {
    self.tenant = tenant
    self.place = place
    self.alerts = alerts
    self.lastAt = lastAt
    self.mac = mac
  }
}
