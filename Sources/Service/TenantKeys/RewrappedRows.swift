internal import Ciphers
internal import KeyRing
internal import SecretMemory
internal import Store

extension Service {
  /// Brings one thing under the tenant's active KEK version, if it is still there and under another.
  ///
  /// - Returns: how many rows changed.
  func rewrap(_ unit: Rewrapper.Unit, _ tenant: String, in transaction: any StoreTransaction) throws -> Int {
    switch unit {
    case .document(let collection, let name):
      return try transaction.document(tenant: tenant, collection: collection, name: name).map { try rewrap($0, in: transaction) } ?? 0
    case .secret(let name): return try transaction.secret(tenant: tenant, name: name).map { try rewrap($0, in: transaction) } ?? 0
    case .scopedSecret(let place, let id, let incarnation):
      return try transaction.scopedSecret(place, id: id, incarnation: incarnation).map { try rewrap($0, in: transaction) } ?? 0
    case .field(let place, let id, let incarnation, let key):
      guard let secret = try transaction.scopedSecret(place, id: id, incarnation: incarnation) else { return 0 }
      return try rewrapField(key, of: secret, in: transaction)
    case .dataKey(let id): return try transaction.dataKey(tenant: tenant, id: id).map { try rewrap($0, in: transaction) } ?? 0
    }
  }

  private func isActive(_ version: UInt32, of tenant: String, in transaction: any StoreTransaction) throws(ServiceError) -> Bool {
    try vault.verifiedTenant(tenant, in: transaction).activeKEKVersion == version
  }

  private func rewrap(_ found: DocumentRow, in transaction: any StoreTransaction) throws -> Int {
    guard try !isActive(found.kekVersion, of: found.tenant, in: transaction) else { return 0 }
    var row = found
    let body = try open(row, in: transaction)
    let keys = try sealingKeys(tenant: row.tenant, in: transaction)
    let place = Place.document(row.tenant, row.collection, row.name, incarnation: row.incarnation, version: row.version)
    row.sealed = try body.withBytes { bytes throws(CipherError) in try keys.seal(bytes, at: place) }
    row.kekVersion = keys.version
    try transaction.put(row)
    return 1
  }

  private func rewrap(_ found: SecretRow, in transaction: any StoreTransaction) throws -> Int {
    guard try !isActive(found.kekVersion, of: found.tenant, in: transaction) else { return 0 }
    var row = found
    let old = try vault.keys(tenant: row.tenant, version: row.kekVersion, in: transaction)
    try old.verify(row)
    let value = try old.open(row)
    let keys = try sealingKeys(tenant: row.tenant, in: transaction)
    let place = Place.secret(row.tenant, row.name, incarnation: row.incarnation, version: row.version)
    row.sealed = try value.withBytes { bytes throws(CipherError) in try keys.seal(bytes, at: place) }
    row.kekVersion = keys.version
    row.mac = try keys.mac(of: row)
    try transaction.put(row)
    return 1
  }

  private func rewrap(_ found: ScopedSecretRow, in transaction: any StoreTransaction) throws -> Int {
    guard try !isActive(found.kekVersion, of: found.place.tenant, in: transaction) else { return 0 }
    try transaction.updateHead(signed(naming(verified(found, in: transaction), in: transaction), in: transaction))
    return 1
  }

  private func rewrap(_ found: DataKeyRow, in transaction: any StoreTransaction) throws -> Int {
    guard try !isActive(found.kekVersion, of: found.tenant, in: transaction) else { return 0 }
    var row = try verified(found, in: transaction)
    let keys = try vault.activeKeys(tenant: row.tenant, in: transaction)
    row.kekVersion = keys.version
    row.mac = try keys.mac(of: row)
    try transaction.update(row)
    return 1
  }

  private func rewrapField(_ key: String, of secret: ScopedSecretRow, in transaction: any StoreTransaction) throws -> Int {
    let (tenant, incarnation) = (secret.place.tenant, secret.incarnation)
    let secret = try verified(secret, in: transaction)
    return try transaction.fieldVersions(tenant: tenant, incarnation: incarnation, key: key, limit: 1000)
      .filter { try !isActive($0.kekVersion, of: tenant, in: transaction) }
      .compactMap { try transaction.fieldVersion(tenant: tenant, incarnation: incarnation, key: key, version: $0.version) }
      .reduce(0) { try $0 + rewrap($1, of: secret, in: transaction) }
  }

  private func rewrap(_ found: FieldRow, of secret: ScopedSecretRow, in transaction: any StoreTransaction) throws -> Int {
    guard try !isActive(found.kekVersion, of: found.tenant, in: transaction) else { return 0 }
    var row = try verified(found, in: transaction)
    if row.sealed.isEmpty {
      // Of a removed field whose deletion window is over only the fact is left.
      row.kekVersion = try vault.activeKeys(tenant: row.tenant, in: transaction).version
    } else {
      let content = try content(of: row, of: secret, in: transaction)
      let keys = try sealingKeys(tenant: row.tenant, in: transaction)
      row.sealed = try rewrapped(content, in: row.fieldKey, of: secret, under: keys, in: transaction).stored
        .withBytes { bytes throws(CipherError) in try keys.seal(bytes, at: .field(row.fieldKey, of: secret, version: row.version)) }
      row.kekVersion = keys.version
    }
    row.mac = try vault.keys(tenant: row.tenant, version: row.kekVersion, in: transaction).mac(of: row)
    try transaction.update(row)
    return 1
  }

  /// The content with its data key wrapped by the KEK version that seals the row: same data key, same id, same issue time.
  /// So no row needs an older version than the one it names.
  func rewrapped(
    _ content: FieldContent, in key: String, of secret: ScopedSecretRow, under keys: TenantKeys, in transaction: any StoreTransaction
  ) throws(ServiceError) -> FieldContent {
    guard case .envelope(var envelope) = content else { return content }
    guard let wrapped = WrappedDataKey(bytes: envelope.dataKeyCiphertext) else { throw .unreadable }
    guard wrapped.kekVersion != keys.version else { return content }
    let binding = DataKeyBinding(
      tenant: secret.place.tenant, scope: secret.place.scope, scopeID: secret.place.scopeID, secretID: secret.secretID, fieldKey: key)
    let old = try vault.keys(tenant: secret.place.tenant, version: wrapped.kekVersion, in: transaction)
    do { envelope.dataKeyCiphertext = try keys.rewrap(wrapped, from: old, boundTo: binding).bytes } catch { throw .unreadable }
    return .envelope(envelope)
  }
}

extension StoreReading {
  /// One life of a secret, live or deleted.
  fileprivate func scopedSecret(_ place: ScopeKey, id: String, incarnation: UInt64) throws(StoreError) -> ScopedSecretRow? {
    if let live = try scopedSecret(place, id: id), live.incarnation == incarnation { return live }
    return try deletedSecrets(place, id: id, limit: 1000).first { $0.incarnation == incarnation }
  }
}
