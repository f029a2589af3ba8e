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
    var parts: [MACPart] = [
      .text("secrets"), .text(row.tenant), .text(row.name), .integer(row.position), .optionalText(row.description),
      .unsigned(row.incarnation), .unsigned(row.version), .unsigned(UInt64(row.kekVersion)), .integer(row.createdAt),
      .integer(row.updatedAt),
    ]
    // A secret that is no canary has the MAC it had before there were any.
    if row.isCanary { parts.append(.text(Self.canaryMark)) }
    do { return try mac(parts) } catch { throw .internalFailure }
  }

  /// The last part of a canary's MAC.
  static let canaryMark = "canary"

  func verify(_ row: SecretRow) throws(ServiceError) {
    guard constantTimeEqual(try mac(of: row), row.mac) else { throw .unreadable }
  }
}

extension Vault {
  /// Over a tenant's row, under a key derived from the root key.
  func mac(of row: TenantRow) throws(ServiceError) -> [UInt8] {
    // A tenant with the default settings has the MAC it had before there were any.
    let settings: [MACPart] = row.settings.isEmpty ? [] : [.text(row.settings)]
    do {
      return try root.rowMAC(
        [.text("tenants"), .text(row.id), .text(row.name), .integer(row.createdAt), .unsigned(UInt64(row.activeKEKVersion))] + settings)
    } catch { throw .internalFailure }
  }

  /// Over an API key's row, under a key derived from the root key: nobody becomes `backend` by SQL.
  func mac(of row: APIKeyRow) throws(ServiceError) -> [UInt8] {
    let agent: [MACPart] =
      row.agent.map { part in
        [
          .text(part.agent), .text(part.parent), .text(part.grants), .text(part.createdBy), .optionalInteger(part.maxUses),
          .unsigned(part.isRetiring ? 1 : 0),
        ]
      } ?? []
    do {
      return try root.rowMAC(
        [
          .text("api_keys"), .text(row.id), .text(row.tenant), .text(row.kind), .text(row.role), .text(row.name), .bytes(row.digest),
          .integer(row.createdAt), .optionalInteger(row.expiresAt), .optionalInteger(row.revokedAt),
        ] + agent)
    } catch { throw .internalFailure }
  }

  func verify(_ row: APIKeyRow) throws(ServiceError) -> Bool { constantTimeEqual(try mac(of: row), row.mac) }

  /// Unwraps a tenant KEK; the wrap authenticates tenant, id, version and root key.
  func unwrap(_ row: KEKRow) throws(ServiceError) -> TenantKeys {
    do {
      return try TenantKeys(unwrapping: row.wrapped, tenant: row.tenant, kekID: row.kekID, version: row.version, root: root)
    } catch { throw .unreadable }
  }
}

func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  unsafe SecretMemory.constantTimeEqual(left.span.bytes, right.span.bytes)
}
