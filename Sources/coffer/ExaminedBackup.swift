internal import Configuration
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import Service
internal import Store
internal import StrictJSON
internal import Threads

/// A backup taken out into a store of its own beside the real one, where it can be looked at and brought to this program's
/// schema. The backup itself is only read.
final class ExaminedBackup {
  private let directory: String
  private let service: Service
  private let store: SQLiteStore
  private var isHandedOver = false

  /// - Parameter root: the key to open it with; nil = the configured one.
  init(_ path: String, _ configuration: Configuration, root given: RootKey? = nil) throws {
    let root = try given ?? AdminClient.rootKey(configuration)
    let directory = configuration.directory.value + "/store.restoring-" + Moment.stamp()
    guard unsafe mkdir(directory, 0o700) == 0 else {
      throw Trouble("\(directory) cannot be made: \(unsafe String(cString: strerror(errno)))")
    }
    do {
      do throws(BackupError) {
        try BackupFile.extract(path, to: directory + "/" + StoreFile.name, root: root)
      } catch { throw Trouble(error.message(path)) }
      (service, store) = try AdminClient.opened(configuration, root, store: directory)
    } catch {
      StoreDirectory.remove(directory)
      throw error
    }
    self.directory = directory
  }

  func verify(_ heads: JSONValue?) throws -> JSONObject {
    try AdminClient.answer(.post, "/admin/v1/verify", heads?.serialized() ?? [], service)
  }

  /// The first entry that the restored chain gains.
  func recordRestore() throws {
    let outcome = Locked<Result<Void, ServiceError>?>(nil)
    let done = OneTimeEvent()
    let principal = Principal.localOperator(tenant: service.defaultTenant)
    service.record(AuditEvent("backup.restore"), by: principal, requestID: "cli-\(getpid())") { result in
      outcome.withLock { $0 = result }
      done.signal()
    }
    done.wait()
    guard case .success = outcome.withLock({ $0 }) else { throw Trouble("the audit entry of the restore could not be written") }
  }

  /// Lets go of the store, whole and synced; its directory, which belongs to the caller from now on.
  func handOver() -> String {
    store.close()
    isHandedOver = true
    return directory
  }

  /// Removes it, unless it was handed over: then the old store may stand under its name.
  func discard() {
    guard !isHandedOver else { return }
    store.close()
    StoreDirectory.remove(directory)
  }
}
