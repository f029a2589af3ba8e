internal import KeyRing
internal import SecretMemory
internal import Store

extension Service {
  /// The row of a document's next version: `body` sealed under the tenant's active keys, then erased.
  func sealed(
    _ body: consuming [UInt8], collection: String, name: String, after stored: DocumentRow?, tenant: String,
    in transaction: any StoreTransaction
  ) throws(ServiceError) -> DocumentRow {
    var body = body
    defer { erase(&body) }
    let keys = try sealingKeys(tenant: tenant, in: transaction)
    do {
      let incarnation = try stored?.incarnation ?? UInt64(bitPattern: transaction.nextSequence(tenant: tenant))
      let version = (stored?.version ?? 0) + 1
      let place = Place.document(tenant, collection, name, incarnation: incarnation, version: version)
      let sealed = try unsafe keys.seal(body.span.bytes, at: place)
      return DocumentRow(
        tenant: tenant, collection: collection, name: name, incarnation: incarnation, version: version, kekVersion: keys.version,
        sealed: sealed)
    } catch { throw ServiceError(error) }
  }

  /// Every document of a collection, by name, opened. For collections that are limited to some dozens.
  func documents(_ collection: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> [(DocumentRow, SecretBytes)] {
    let rows: [DocumentRow]
    do { rows = try reading.documents(tenant: tenant, collection: collection, after: "", limit: 1000) } catch { throw ServiceError(error) }
    var opened: [(DocumentRow, SecretBytes)] = []
    for row in rows { opened.append((row, try open(row, in: reading))) }
    return opened
  }

  func documentRow(_ collection: String, _ name: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> DocumentRow?
  {
    do { return try reading.document(tenant: tenant, collection: collection, name: name) } catch { throw ServiceError(error) }
  }

  func open(_ row: DocumentRow, in reading: any StoreReading) throws(ServiceError) -> SecretBytes {
    try vault.keys(tenant: row.tenant, version: row.kekVersion, in: reading).open(row)
  }
}
