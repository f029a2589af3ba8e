internal import KeyRing
internal import Store

extension Service {
  package var isSealed: Bool { vault.isSealed }

  /// Drops the root key and every tenant key from memory: nothing opens and nothing is written until `unseal`. What a thread keeps
  /// of them goes at its next pass, within a second. A server that is sealed stays as it is.
  ///
  /// - Parameter completion: gets whether the audit chain says so. Where it cannot be written the keys go all the same.
  package func seal(
    by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
  ) {
    guard !isSealed else { return completion(.success(true)) }
    guard holdRootKey() else { return completion(.failure(.obstructed(.rootKeyHeld))) }
    write(
      { transaction in try self.record(AuditEvent("server.seal"), by: principal, requestID: requestID, in: transaction) },
      completion: { result in
        self.vault.seal()
        Self.dropThreadKeys()
        self.releaseRootKey()
        var isRecorded = false
        if case .success = result { isRecorded = true }
        self.options.onSealing(.sealed(isRecorded: isRecorded))
        completion(.success(isRecorded))
      })
  }

  /// Reads the root key again from where the start has read it, and goes on once the audit chain says so. Blocks its thread.
  package func unseal(by principal: Principal, requestID: String) throws(ServiceError) {
    guard isSealed else { return }
    guard let source = options.rootKeySource else { throw .obstructed(.rootKeyUnmanaged) }
    guard holdRootKey() else { throw .obstructed(.rootKeyHeld) }
    defer { releaseRootKey() }
    let root = try rootKey(from: source)
    let vault = vault
    try waited { done in
      write(
        { transaction in
          try AuditRecorder(root: root, now: self.now)
            .record(AuditEvent("server.unseal"), by: principal, requestID: requestID, in: transaction)
        },
        completion: { result in
          // Before the next batch begins.
          if case .success = result { vault.use(RootKeys(root)) }
          done(result)
        })
    }
    options.onSealing(.unsealed)
  }

  private func rootKey(from source: RootKeySource) throws(ServiceError) -> RootKey {
    let usual: RootKey
    do throws(RootKeySource.Failure) { usual = try source.read() } catch { throw .obstructed(.keyFile(error.message)) }
    do throws(StartError) {
      if let files = options.rootKeyFiles { return try Self.rootKey(of: store, usual: usual, files) }
      _ = try Self.identity(in: Self.reading { () throws(StoreError) in try store.makeReader() }, root: usual)
      return usual
    } catch {
      if case .wrongRootKey = error { throw .obstructed(.otherRootKey) }
      throw .unavailable
    }
  }
}

/// What became of the root key in memory.
package enum Sealing: Sendable {
  case sealed(isRecorded: Bool)
  case unsealed
}
