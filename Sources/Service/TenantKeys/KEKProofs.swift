internal import KeyRing
internal import Store
internal import Threads

extension Service {
  /// Gives the rows of KEKs in a store from before schema 8 their MACs, all in one transaction: the only place where a row without one is
  /// believed, and only while the store's key check says that there are such rows. From then on it says that there are none.
  ///
  /// - Parameter waits: false = it is done before any other write, once the store can be written.
  func proveKEKs(with root: RootKey, waits: Bool) throws(StartError) {
    let failure = Locked<StoreError?>(nil)
    let done = OneTimeEvent()
    let vault = vault
    store.write({ transaction in try vault.proveKEKs(with: root, in: transaction) }) { result in
      if case .failure(let error) = result { failure.withLock { $0 = error as? StoreError ?? .unavailable(.ioError) } }
      done.signal()
    }
    guard waits else { return }
    done.wait()
    if let error = failure.withLock({ $0 }) { throw .store(error) }
  }
}

extension Vault {
  fileprivate func proveKEKs(with root: RootKey, in transaction: any StoreTransaction) throws {
    let identity = try Service.identity(in: transaction, root: root)
    guard !identity.hasProvenKEKs else { return }
    try transaction.eachTenantEver { tenant throws(ServiceError) in
      // What does not open stays as it is, and is found.
      for row in try transaction.allKEKs(of: tenant.id) where row.mac.isEmpty && (row.isDisabled || (try? unwrap(row)) != nil) {
        let row = try signed(row)
        do { try transaction.update(row) } catch { throw ServiceError(error) }
      }
    }
    try transaction.setRecord("key-check", root.keyCheck(storeID: identity.storeID))
  }
}
