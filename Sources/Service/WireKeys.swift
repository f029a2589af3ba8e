package import KeyRing

extension Service {
  /// Makes a new wire key; the old one opens on. Takes effect with the next start of the process.
  ///
  /// The new key is made first, then the entry of the audit chain, then it gets its place: no effect without its entry.
  package func rotateWireKey(
    by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<WireKeyFiles.Fresh, ServiceError>) -> Void
  ) {
    let files: WireKeyFiles
    let fresh: WireKeyFiles.Fresh
    do throws(ServiceError) {
      files = try changeableWireKeys()
      fresh = try Self.keyFiles { () throws(KeyFile.Failure) in try files.prepare() }
    } catch { return completion(.failure(error)) }
    let event = AuditEvent("wire_key.rotate", subject: fresh.id, details: "{\"old\":\"\(fresh.old)\"}")
    write(
      { try self.record(event, by: principal, requestID: requestID, in: $0) },
      completion: { result in
        do throws(ServiceError) {
          try result.get()
          try Self.keyFiles { () throws(KeyFile.Failure) in try files.install(fresh) }
          completion(.success(fresh))
        } catch {
          files.discard()
          completion(.failure(error))
        }
      })
  }

  /// Ends a retired wire key: tokens under it open no more from the next start of the process on.
  package func retireWireKey(
    _ id: String, by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    let files: WireKeyFiles
    do throws(ServiceError) {
      guard let found = options.wireKeyFiles else { throw .notFound }
      files = found
      let current = try Self.keyFiles { () throws(KeyFile.Failure) in try files.ring(given: nil, retired: []) }
      if current.primary?.id == id { throw .obstructed(.wireKeyInUse) }
      guard current.retired.contains(where: { $0.id == id }) else { throw .notFound }
    } catch { return completion(.failure(error)) }
    write(
      { try self.record(AuditEvent("wire_key.retire", subject: id), by: principal, requestID: requestID, in: $0) },
      completion: { result in
        completion(
          result.flatMap { () throws(ServiceError) in
            guard try Self.keyFiles({ () throws(KeyFile.Failure) in try files.retire(id) }) else { throw .notFound }
          })
      })
  }

  private func changeableWireKeys() throws(ServiceError) -> WireKeyFiles {
    if case .variable(let name)? = wire.primary?.origin { throw .obstructed(.wireKeyOfEnvironment(name)) }
    guard let files = options.wireKeyFiles else { throw .obstructed(.noWireKey) }
    return files
  }

  private static func keyFiles<T>(_ body: () throws(KeyFile.Failure) -> T) throws(ServiceError) -> T {
    do { return try body() } catch { throw .obstructed(.keyFile(error.message)) }
  }
}

extension Result where Failure == ServiceError {
  fileprivate func flatMap<T>(_ body: (Success) throws(ServiceError) -> T) -> Result<T, ServiceError> {
    do throws(ServiceError) { return .success(try body(try get())) } catch { return .failure(error) }
  }
}
