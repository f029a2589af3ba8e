import Glibc
import KeyRing
import Model
import SecretMemory
import Service
import Store
import StrictJSON
import TestSupport
import Testing
import Threads

/// A service over a fresh store in a directory of its own.
final class Bench {
  let directory = TemporaryDirectory()
  let root: RootKey
  let store: SQLiteStore
  let service: Service

  init(rootKey byte: UInt8 = 3, wrapLimit: Int64 = 1 << 30) throws {
    root = try Self.rootKey(byte)
    store = try SQLiteStore(directory: directory.path + "/store")
    let made = Waiter<FirstKeys>()
    Service.initialise(store, root: root, now: { 1_795_478_400_000 }) { made.give($0) }
    _ = try made.take()
    service = try Self.service(store, root, wrapLimit: wrapLimit)
  }

  deinit { store.close() }

  static func rootKey(_ byte: UInt8) throws -> RootKey {
    try RootKey(id: "0123456789abcde\(byte)", key: SecretBytes(copying: [UInt8](repeating: byte, count: 32)))
  }

  static func service(_ store: SQLiteStore, _ root: RootKey, wrapLimit: Int64 = 1 << 30) throws -> Service {
    try Service(
      store: store, root: root, wire: WireRing(primary: SecretBytes(copying: [1])), options: Service.Options(), wrapLimit: wrapLimit,
      now: { 1_795_478_400_000 })
  }

  var tenant: String { service.defaultTenant }
  var principal: Principal { Principal(tenant: tenant, actor: .environment, keyID: "", level: .backend) }

  func put(_ name: String, _ value: String, by service: Service? = nil) throws { _ = try beginPut(name, value, by: service).take() }

  /// Queues it; the result comes later.
  func beginPut(_ name: String, _ value: String, by service: Service? = nil) throws -> Waiter<SecretSummary> {
    let done = Waiter<SecretSummary>()
    let change = SecretChange(
      name: try #require(SecretName(Array(name.utf8))), value: SecretBytes(copying: Array(value.utf8)), description: .keep)
    (service ?? self.service).put(change, ifMatch: nil, for: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    return done
  }

  func delete(_ name: String) throws {
    let done = Waiter<Void>()
    service.deleteSecret(try #require(SecretName(Array(name.utf8))), ifMatch: nil, for: principal, requestID: "r") {
      done.give($0.mapError { $0 })
    }
    try done.take()
  }

  func patch(_ body: JSONValue) throws {
    let done = Waiter<SettingsView>()
    service.patchSettings(try SettingsPatch(body: body), ifMatch: nil, for: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    _ = try done.take()
  }

  func newKey() throws -> String {
    let done = Waiter<NewKey>()
    let request = KeyRequest(rights: .session(.masked), name: "k", expiresAt: nil)
    service.createKey(request, tenant: tenant, by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    return try done.take().row.id
  }

  func revoke(_ id: String) throws {
    let done = Waiter<APIKeyRow>()
    service.revokeKey(id, by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    _ = try done.take()
  }

  func rotateKEK(_ service: Service) throws -> KEKView {
    let done = Waiter<KEKView>()
    service.structure(of: tenant, by: .localOperator(tenant: tenant), RequestOrigin(id: "r", address: "")) {
      try $0.rotateKEK()
    } completion: {
      done.give($0.mapError { $0 })
    }
    return try done.take()
  }

  func backUp(to name: String, replaces: Bool = false) throws -> BackupReport {
    let done = Waiter<BackupReport>()
    service.backUp(to: directory.path + "/" + name, replaces: replaces, by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    return try done.take()
  }

  /// What a hand in the database does: no audit entry, no key.
  func tamper(_ body: @escaping @Sendable (any StoreTransaction) throws -> Void) throws {
    let done = Waiter<Void>()
    store.write(body) { done.give($0) }
    try done.take()
  }

  /// `PLACE PROBLEM`, in order.
  func findings() throws -> [String] { try Verification(service).run().findings.map { "\($0.place) \($0.problem.rawValue)" } }

  func secret(_ name: String) throws -> SecretRow { try #require(try store.makeReader().secret(tenant: tenant, name: name)) }
  func apiKey(_ id: String) throws -> APIKeyRow { try #require(try store.makeReader().apiKey(id)) }
  func settings() throws -> DocumentRow {
    try #require(try store.makeReader().document(tenant: tenant, collection: "settings", name: "current"))
  }
}

final class Waiter<T: Sendable>: Sendable {
  private let result = Locked<Result<T, any Error>?>(nil)
  private let done = OneTimeEvent()

  func give(_ value: Result<T, any Error>) {
    result.withLock { $0 = value }
    done.signal()
  }

  func take() throws -> T {
    done.wait()
    return try #require(result.withLock { $0 }).get()
  }
}

func write(_ bytes: [UInt8], to path: String) throws {
  guard let file = unsafe fopen(path, "we") else { throw StoreError.unavailable(.readOnly) }
  defer { unsafe fclose(file) }
  #expect(unsafe fwrite(bytes, 1, bytes.count, file) == bytes.count)
}
