internal import Ciphers
package import KeyRing
package import SecretMemory
package import Store

/// What `init` shows once and keeps nowhere.
package struct FirstKeys: Sendable {
  package let admin: SecretBytes
  package let session: SecretBytes
}

extension Service {
  struct Identity {
    let storeID: [UInt8]
    let defaultTenant: String
    /// Rows of KEKs have MACs; false in a store from before schema 8 that nobody with the root key has written since.
    let hasProvenKEKs: Bool
  }

  /// Reads who the store is and checks that `root` is its key. Writes nothing.
  static func identity(in store: any StoreReading, root: RootKey) throws(StartError) -> Identity {
    let found = try reading { () throws(StoreError) in
      (try store.record("store-id"), try store.record("key-check"), try store.record("default-tenant"))
    }
    guard let id = found.0, let check = found.1, let tenant = found.2 else { throw .notInitialised }
    let isProven = root.verifies(keyCheck: check, storeID: id)
    guard isProven || root.verifies(keyCheck: check, storeID: id, .unprovenKEKs) else { throw .wrongRootKey }
    return Identity(storeID: id, defaultTenant: String(decoding: tenant, as: UTF8.self), hasProvenKEKs: isProven)
  }

  /// Fills an empty store: its identity, the default tenant with its first KEK, a first admin key and a
  /// first session key of level `backend`. All in one transaction, with the first entries of the tenant's audit chain.
  package static func initialise(
    _ store: any Store, root: RootKey, now: @escaping @Sendable () -> Int64,
    completion: @escaping @Sendable (Result<FirstKeys, any Error>) -> Void
  ) {
    store.write(
      { transaction in
        guard try transaction.record("store-id") == nil else { throw StartError.alreadyInitialised }
        let storeID = try RandomBytes.generate(count: 16)
        try transaction.setRecord("store-id", storeID)
        try transaction.setRecord("key-check", root.keyCheck(storeID: storeID))
        let tenant = try "ten_" + RandomText.ulid(at: now())
        try transaction.setRecord("default-tenant", Array(tenant.utf8))
        let maker = KeyMaker(vault: Vault(root: root), now: now)
        try maker.insertTenant(id: tenant, name: "default", in: transaction)
        let admin = try maker.insertKey(.admin, role: "owner", tenant: tenant, name: "first admin key", expiresAt: nil, in: transaction)
        let session = try maker.insertKey(
          .session, role: Level.backend.rawValue, tenant: tenant, name: "first session key", expiresAt: nil, in: transaction)
        let recorder = AuditRecorder(root: root, now: now)
        for event in [AuditEvent(storeCreated, subject: tenant), admin.created, session.created] {
          try recorder.record(event, by: .localOperator(tenant: tenant), requestID: "init", in: transaction)
        }
        return FirstKeys(admin: admin.token, session: session.token)
      }, completion: completion)
  }

  /// The first entry of the default tenant's chain and of no other.
  static let storeCreated: StaticString = "store.create"

  static func reading<T>(_ body: () throws(StoreError) -> T) throws(StartError) -> T {
    do { return try body() } catch { throw .store(error) }
  }
}
