package import KeyRing
package import Store
internal import Synchronization
internal import Threads

/// What a change of the root key did.
package struct RootRotation: Sendable {
  /// Ids of the keys.
  package let new: String
  package let old: String
  package let tenants: Int
  package let keks: Int
  /// Rows with a new MAC.
  package let rows: Int
  /// Rows whose MAC did not hold before; they stay as they were.
  package let unproven: Int
  /// Nothing that the old key opens is left in the store's files.
  package let isErased: Bool
  /// Where the new key is now.
  package let file: String
  /// Where the old one is kept; nil when Coffer does not manage its place, or could not put the new key there.
  package let retired: String?
  /// Why the new key could not be put in its place; the next start does it.
  package let trouble: String?
  package let proof: RootProof
}

/// Who works with the root key, as operators see it.
package struct RootStatus: Sendable {
  package let id: String
  /// The file it is read from; nil when a credential or a program gives it.
  package let file: String?
  /// The id of a key that waits beside it.
  package let waiting: String?
  /// How many KEK versions each root key wraps.
  package let keks: [String: Int64]
}

extension Service {
  /// Milliseconds that a reader may still be in a state before the change.
  package static let rootSettling: Int64 = 5_000

  /// The key of the store: the one from its usual place, or the one that a change of the root key has left beside it, which
  /// then gets its place. Writes nothing in the store.
  ///
  /// - Parameter usual: the key that is read where it should be.
  package static func rootKey(of store: any Store, usual: RootKey, _ files: RootKeyFiles) throws(StartError) -> RootKey {
    let reader = try reading { () throws(StoreError) in try store.makeReader() }
    do throws(StartError) {
      _ = try identity(in: reader, root: usual)
      return usual
    } catch {
      guard error == .wrongRootKey, let waiting = try? files.waiting() else { throw error }
      _ = try identity(in: reader, root: waiting)
      // Where that fails the key is found again at the next start.
      _ = try? files.install(over: usual.id)
      return waiting
    }
  }

  /// Keeps the root key as it is until `releaseRootKey`; false when somebody does already.
  package func holdRootKey() -> Bool { !isRootHeld.exchange(true, ordering: .acquiringAndReleasing) }
  package func releaseRootKey() { isRootHeld.store(false, ordering: .releasing) }

  package func rootStatus() throws(ServiceError) -> RootStatus {
    let files = options.rootKeyFiles
    do {
      let waiting = try? files?.waiting()
      return RootStatus(
        id: vault.rootID, file: files?.current, waiting: waiting?.id == vault.rootID ? nil : waiting?.id,
        keks: try store.makeReader().keksByRootKey())
    } catch { throw ServiceError(error) }
  }

  /// Puts a new root key in the place of the one in use, while everything goes on: the key that waits beside it, or a fresh one.
  /// Blocks its thread; nobody may cut an audit chain meanwhile.
  ///
  /// The new key is durable first, then one transaction brings everything under it, then it gets its place. Whenever the process
  /// ends, the next start finds a key that fits the store.
  ///
  /// - Parameters:
  ///   - acceptsBrokenAudit: go on although a chain has an entry that does not fit; the entry of the change says which.
  ///   - settling: milliseconds for which the old key is still known. A parameter for tests.
  package func rotateRoot(
    acceptsBrokenAudit: Bool, settling: Int64 = rootSettling, by principal: Principal, requestID: String
  ) throws(ServiceError) -> RootRotation {
    guard let files = options.rootKeyFiles else { throw .obstructed(.rootKeyUnmanaged) }
    guard holdRootKey() else { throw .obstructed(.rootKeyHeld) }
    defer { releaseRootKey() }
    // A backup is sealed by the key that its store has.
    guard !isBackingUp.exchange(true, ordering: .acquiringAndReleasing) else { throw .obstructed(.backupRuns) }
    defer { isBackingUp.store(false, ordering: .releasing) }
    let old = try vault.root
    let new: RootKey
    do throws(RootKeySource.Failure) { new = try files.prepare() } catch { throw .obstructed(.keyFile(error.message)) }
    if new.id == old.id { throw .obstructed(.rootKeyNotMoved(files.next)) }
    let walks = try provenChains(acceptsBroken: acceptsBrokenAudit)

    vault.use(RootKeys(old, other: new))
    let vault = vault
    let done = try waited { done in
      store.erase(
        { transaction in
          var rewrapping = RootRewrapping(self, transaction, from: old, to: new, by: principal, requestID: requestID, walks: walks)
          try rewrapping.run()
          // What follows in the same batch finds rows under the new key.
          vault.use(RootKeys(new, other: old))
          return rewrapping.counts
        },
        completion: { result in
          // Before the next batch begins.
          if case .failure = result { vault.use(RootKeys(old)) }
          done(result.mapError(ServiceError.init))
        })
    }
    let counts = done.value
    vault.keepCursors(of: old)
    let place = Self.install(files, over: old.id)
    PlainThread.start(named: "coffer-root") {
      _ = OneTimeEvent().wait(atMost: settling)
      if let root = try? vault.root, root.id == new.id { vault.use(RootKeys(new)) }
    }
    return RootRotation(
      new: new.id, old: old.id, tenants: counts.tenants, keks: counts.keks, rows: counts.rows, unproven: counts.unproven,
      isErased: done.isErased, file: place.file, retired: place.retired, trouble: place.trouble, proof: try proveRoot(new))
  }

  private static func install(_ files: RootKeyFiles, over old: String) -> (file: String, retired: String?, trouble: String?) {
    do throws(KeyFile.Failure) {
      guard try files.install(over: old), let current = files.current else { return (files.next, nil, nil) }
      return (current, files.retiredPath(old), nil)
    } catch { return (files.next, nil, error.message) }
  }

  /// Every chain, proven to its end of now.
  private func provenChains(acceptsBroken: Bool) throws(ServiceError) -> [String: AuditWalk] {
    let desk: Desk
    do { desk = try Desk(self) } catch { throw ServiceError(error) }
    var walks: [String: AuditWalk] = [:]
    try desk.eachTenantEver { tenant throws(ServiceError) in
      var walk = AuditWalk(
        tenant: tenant.id, checkpoint: try desk.auditCheckpoint(tenant: tenant.id),
        rootChange: try desk.auditRootChange(tenant: tenant.id), roots: RootKeys(try vault.root))
      try desk.walk(&walk, tenant: tenant.id) { _ in true }
      walk.end()
      if let bad = walk.firstBad, !acceptsBroken { throw .obstructed(.brokenChain(tenant: tenant.id, sequence: bad)) }
      walks[tenant.id] = walk
    }
    return walks
  }
}
