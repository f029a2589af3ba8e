internal import HTTPMessages
internal import Model

/// The agent endpoints (scoped spec, section 5).
enum ScopedRoute: Sendable {
  case whoami, limits, createToken, revokeToken, enrol
  case scopes, list
  case secret, putSecret, patchSecret, deleteSecret
  case field, setField, removeField
  case versions, rollBack, history
  case generateDataKey, decryptDataKey
  case effectiveList, effectiveSecret, effectiveField

  struct Entry: Sendable {
    let method: HTTPMethod
    let pattern: StaticString
    let route: ScopedRoute

    init(_ method: HTTPMethod, _ pattern: StaticString, _ route: ScopedRoute) {
      self.method = method
      self.pattern = pattern
      self.route = route
    }
  }

  static let table: [Entry] = [
    Entry(.get, "/agent/identity/whoami", .whoami),
    Entry(.get, "/agent/identity/limits", .limits),
    Entry(.post, "/agent/identity/tokens", .createToken),
    Entry(.delete, "/agent/identity/tokens/{tokenId}", .revokeToken),
    Entry(.post, "/agent/enroll", .enrol),
    Entry(.get, "/agent/secrets/scopes", .scopes),
    Entry(.post, "/agent/secrets/generate-data-key", .generateDataKey),
    Entry(.post, "/agent/secrets/decrypt-data-key", .decryptDataKey),
    Entry(.get, "/agent/secrets/effective", .effectiveList),
    Entry(.get, "/agent/secrets/effective/{secretId}", .effectiveSecret),
    Entry(.get, "/agent/secrets/effective/{secretId}/fields/{fieldKey}", .effectiveField),
    Entry(.get, "/agent/secrets/{scope}/{scopeId}", .list),
    Entry(.get, "/agent/secrets/{scope}/{scopeId}/{secretId}", .secret),
    Entry(.put, "/agent/secrets/{scope}/{scopeId}/{secretId}", .putSecret),
    Entry(.patch, "/agent/secrets/{scope}/{scopeId}/{secretId}", .patchSecret),
    Entry(.delete, "/agent/secrets/{scope}/{scopeId}/{secretId}", .deleteSecret),
    Entry(.get, "/agent/secrets/{scope}/{scopeId}/{secretId}/history", .history),
    Entry(.get, "/agent/secrets/{scope}/{scopeId}/{secretId}/fields/{fieldKey}", .field),
    Entry(.put, "/agent/secrets/{scope}/{scopeId}/{secretId}/fields/{fieldKey}", .setField),
    Entry(.delete, "/agent/secrets/{scope}/{scopeId}/{secretId}/fields/{fieldKey}", .removeField),
    Entry(.get, "/agent/secrets/{scope}/{scopeId}/{secretId}/fields/{fieldKey}/versions", .versions),
    Entry(.post, "/agent/secrets/{scope}/{scopeId}/{secretId}/fields/{fieldKey}/rollback", .rollBack),
  ]

  /// The budget a call is taken from; nil = none.
  var rateClass: RateClass? {
    switch self {
    case .whoami, .secret, .field, .versions, .history: .reads
    case .scopes, .list, .effectiveList, .effectiveSecret, .effectiveField: .lists
    case .putSecret, .patchSecret, .deleteSecret, .setField, .removeField, .rollBack, .createToken, .revokeToken: .writes
    case .generateDataKey, .decryptDataKey: .dataKeys
    case .limits, .enrol: nil
    }
  }

  /// Whether the path names a scope first.
  var namesScope: Bool {
    switch self {
    case .list, .secret, .putSecret, .patchSecret, .deleteSecret, .field, .setField, .removeField, .versions, .rollBack, .history: true
    case .whoami, .limits, .createToken, .revokeToken, .enrol, .scopes, .generateDataKey, .decryptDataKey, .effectiveList,
      .effectiveSecret, .effectiveField:
      false
    }
  }
}
