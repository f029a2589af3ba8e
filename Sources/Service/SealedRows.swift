internal import KeyRing
internal import SecretMemory
internal import Store

// Where each kind of row is sealed, and what its MAC covers. A column that is added to a row must be added here.

extension Place {
  static func secret(_ tenant: String, _ name: String, incarnation: UInt64, version: UInt64) -> Place {
    Place(table: "secrets", tenant: tenant, id: name, field: "value", incarnation: incarnation, version: version)
  }

  static func document(_ tenant: String, _ collection: String, _ name: String, incarnation: UInt64, version: UInt64) -> Place {
    Place(table: "documents", tenant: tenant, id: collection + "/" + name, field: "body", incarnation: incarnation, version: version)
  }
}

extension TenantKeys {
  func open(_ row: SecretRow) throws(ServiceError) -> SecretBytes {
    let place = Place.secret(row.tenant, row.name, incarnation: row.incarnation, version: row.version)
    do { return try open(row.sealed, at: place) } catch { throw .unreadable }
  }

  func open(_ row: DocumentRow) throws(ServiceError) -> SecretBytes {
    let place = Place.document(row.tenant, row.collection, row.name, incarnation: row.incarnation, version: row.version)
    do { return try open(row.sealed, at: place) } catch { throw .unreadable }
  }

  /// Over every plain column of a custom secret; the sealed column authenticates itself.
  func mac(of row: SecretRow) throws(ServiceError) -> [UInt8] {
    // A secret that is no canary has the MAC it had before there were any.
    try rowMAC(
      MACMessage("secrets").text(row.tenant).text(row.name).integer(row.position).optionalText(row.description)
        .unsigned(row.incarnation).unsigned(row.version).unsigned(UInt64(row.kekVersion)).integer(row.createdAt)
        .integer(row.updatedAt).text(Self.canaryMark, if: row.isCanary))
  }

  func rowMAC(_ message: borrowing MACMessage) throws(ServiceError) -> [UInt8] {
    do { return try mac(message) } catch { throw .internalFailure }
  }

  /// The last part of a canary's MAC.
  static let canaryMark = "canary"

  func verify(_ row: SecretRow) throws(ServiceError) {
    guard constantTimeEqual(try mac(of: row), row.mac) else { throw .unreadable }
  }
}

/// A row whose plain columns are under a MAC of the root key.
protocol RootSealedRow {
  /// What the MAC covers.
  var macMessage: MACMessage { get }
  var mac: [UInt8] { get set }
}

extension TenantRow: RootSealedRow {
  var macMessage: MACMessage {
    // A tenant with the default settings has the MAC it had before there were any.
    MACMessage("tenants").text(id).text(name).integer(createdAt).unsigned(UInt64(activeKEKVersion))
      .text(settings, if: !settings.isEmpty)
  }
}

/// The wrap authenticates itself, but not that it is the one that belongs here, nor that there is none.
extension KEKRow: RootSealedRow {
  var macMessage: MACMessage {
    MACMessage("keks").text(tenant).unsigned(UInt64(version)).bytes(kekID).text(rootKeyID).bytes(wrapped).integer(createdAt)
      .integer(wrapsReserved)
  }
}

/// Nobody becomes `backend` by SQL.
extension APIKeyRow: RootSealedRow {
  var macMessage: MACMessage {
    let message = MACMessage("api_keys").text(id).text(tenant).text(kind).text(role).text(name).bytes(digest).integer(createdAt)
      .optionalInteger(expiresAt).optionalInteger(revokedAt)
    guard let agent else { return message }
    return message.text(agent.agent).text(agent.parent).text(agent.grants).text(agent.createdBy).optionalInteger(agent.maxUses)
      .unsigned(agent.isRetiring ? 1 : 0)
  }
}

extension Vault {
  /// Under a key derived from the root key that signs.
  func mac(of row: some RootSealedRow) throws(ServiceError) -> [UInt8] {
    let root = try root
    do { return try root.rowMAC(row.macMessage) } catch { throw .internalFailure }
  }

  /// The row with its MAC.
  func signed<Row: RootSealedRow>(_ row: Row) throws(ServiceError) -> Row {
    var row = row
    row.mac = try mac(of: row)
    return row
  }

  func verify(_ row: some RootSealedRow) throws(ServiceError) -> Bool {
    do { return try rowProofs.verify(row.mac, of: row.macMessage) } catch { throw .internalFailure }
  }

  func verified<Row: RootSealedRow>(_ row: Row) throws(ServiceError) -> Row {
    guard try verify(row) else { throw .unreadable }
    return row
  }

  /// Unwraps a tenant KEK; the wrap authenticates tenant, id, version and root key.
  func unwrap(_ row: KEKRow) throws(ServiceError) -> TenantKeys {
    guard let root = try roots.key(row.rootKeyID) else { throw .unreadable }
    do {
      return try TenantKeys(unwrapping: row.wrapped, tenant: row.tenant, kekID: row.kekID, version: row.version, root: root)
    } catch { throw .unreadable }
  }
}
