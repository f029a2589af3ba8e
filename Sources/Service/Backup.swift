internal import CShim
internal import Glibc
internal import KeyRing
package import Store
internal import Synchronization
internal import Threads

/// What was backed up.
package struct BackupReport: Sendable {
  package let bytes: Int64
  package let schema: Int
  /// The audit heads: kept elsewhere, they find a tail that was cut off later.
  package let chains: [StoreCopy.Chain]
}

extension Service {
  /// Writes a backup into the file `path` on a thread of its own: the audit entry first, then the copy under a temporary name,
  /// sealed, synced and renamed. A backup that fails leaves no file.
  ///
  /// - Parameter replaces: an earlier backup may have the name; anything else never.
  package func backUp(
    to path: String, replaces: Bool, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<BackupReport, BackupError>) -> Void
  ) {
    guard !isBackingUp.exchange(true, ordering: .acquiringAndReleasing) else { return completion(.failure(.busy)) }
    PlainThread.start(named: "coffer-backup") {
      let result: Result<BackupReport, BackupError>
      do throws(BackupError) {
        try Self.check(path, replaces: replaces)
        try self.recordBackup(by: principal, requestID: requestID)
        result = .success(try self.writeBackup(to: path, replaces: replaces))
      } catch { result = .failure(error) }
      self.isBackingUp.store(false, ordering: .releasing)
      completion(result)
    }
  }

  private static func check(_ path: String, replaces: Bool) throws(BackupError) {
    var facts = stat()
    guard unsafe lstat(path, &facts) == 0 else { return }
    guard replaces else { throw .exists }
    guard facts.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
    guard BackupFile.hasForm(path) else { throw .notABackup }
  }

  private func recordBackup(by principal: Principal, requestID: String) throws(BackupError) {
    let outcome = Locked<Result<Void, ServiceError>?>(nil)
    let done = OneTimeEvent()
    write(
      { try self.record(AuditEvent("backup.create"), by: principal, requestID: requestID, in: $0) },
      completion: { result in
        outcome.withLock { $0 = result }
        done.signal()
      })
    done.wait()
    if case .success = outcome.withLock({ $0 }) { return }
    throw .unavailable
  }

  private func writeBackup(to path: String, replaces: Bool) throws(BackupError) -> BackupReport {
    // One backup at a time, so that what has this name was left by one that was killed.
    let partial = path + ".coffer-partial"
    NewFile.remove(partial)
    let copy: StoreCopy
    do { copy = try store.backUp(to: partial) } catch { throw BackupError(error) }
    do throws(BackupError) {
      let root: RootKey
      do throws(ServiceError) { root = try vault.root } catch { throw .unavailable }
      try BackupFile.seal(partial, root: root)
      try Self.publish(partial, as: path, replaces: replaces)
    } catch {
      NewFile.remove(partial)
      throw error
    }
    return BackupReport(bytes: copy.bytes + Int64(BackupFile.trailerBytes), schema: copy.schema, chains: copy.chains)
  }

  private static func publish(_ partial: String, as path: String, replaces: Bool) throws(BackupError) {
    if replaces {
      guard unsafe rename(partial, path) == 0 else { throw .unavailable }
    } else if unsafe shim_rename_new(partial, path) != 0 {
      // Some file systems know no rename that spares what is there; it was not there at the start.
      guard errno == EINVAL || errno == ENOSYS else { throw errno == EEXIST ? .exists : .unavailable }
      guard unsafe access(path, F_OK) != 0, unsafe rename(partial, path) == 0 else { throw .exists }
    }
    let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    do { try NewFile.syncDirectory(directory) } catch { throw .unavailable }
  }
}
