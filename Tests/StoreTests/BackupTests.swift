import Glibc
import Store
import TestSupport
import Testing
import Threads

/// What a copy of any store must be; run here against SQLite.
@Suite struct BackupConformance {
  private let directory = TemporaryDirectory()
  private var target: String { directory.path + "/copy" }
  private static let tenant = TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, mac: [1])

  private func open(_ name: String = "store") throws -> SQLiteStore { try SQLiteStore(directory: directory.path + "/" + name) }

  private static func secret(_ name: String, _ position: Int64) -> SecretRow {
    SecretRow(
      tenant: "t1", name: name, position: position, description: nil, incarnation: 1, version: 1, kekVersion: 1, sealed: [1], createdAt: 1,
      updatedAt: 1, mac: [])
  }

  /// The copy, opened as a store.
  private func opened(_ copy: String) throws -> SQLiteStore {
    let place = directory.path + "/opened"
    #expect(unsafe mkdir(place, 0o700) == 0)
    try write(try Vectors.bytes(copy), to: place + "/coffer.db")
    return try SQLiteStore(directory: place)
  }

  @Test func aCopyHoldsWhatWasAcknowledgedBefore() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let acknowledged = Locked(0)
    let isDone = Locked(false)
    PlainThread.start(named: "test-writer") {
      var number = 0
      while !isDone.withLock({ $0 }), number < 20_000 {
        number += 1
        let position = Int64(number)
        guard (try? store.perform { try $0.put(Self.secret("S\(position)", position)) }) != nil else { return }
        acknowledged.withLock { $0 = Int(position) }
      }
    }
    while acknowledged.withLock({ $0 }) < 50 { usleep(1000) }
    let before = acknowledged.withLock { $0 }
    let copy = try store.backUp(to: target)
    isDone.withLock { $0 = true }
    #expect(copy.chains == [StoreCopy.Chain(tenant: "t1", name: "one", head: nil)])
    let restored = try opened(target)
    defer { restored.close() }
    let reader = try restored.makeReader()
    #expect(try reader.damage().isEmpty)
    for number in 1...before { #expect(try reader.secret(tenant: "t1", name: "S\(number)") != nil) }
  }

  @Test func aFileThatIsThereIsKept() throws {
    let store = try open()
    defer { store.close() }
    try write([7], to: target)
    #expect(throws: StoreError.conflict) { try store.backUp(to: target) }
    #expect(try Vectors.bytes(target) == [7])
  }

  @Test func aCopyThatFailsLeavesNothing() throws {
    let store = try open()
    defer { store.close() }
    #expect(throws: StoreError.unavailable(.readOnly)) { try store.backUp(to: directory.path + "/none/copy") }
    #expect(unsafe access(target, F_OK) != 0)
  }

  @Test func aClosedStoreIsNotCopied() throws {
    let store = try open()
    store.close()
    #expect(throws: StoreError.unavailable(.draining)) { try store.backUp(to: target) }
    #expect(unsafe access(target, F_OK) != 0)
  }

  @Test func copiesAreOneFileForItsOwner() throws {
    let store = try open()
    defer { store.close() }
    try store.perform { try $0.insert(Self.tenant) }
    let copy = try store.backUp(to: target)
    var facts = stat()
    #expect(unsafe stat(target, &facts) == 0)
    #expect(facts.st_mode & 0o777 == 0o600)
    #expect(Int64(facts.st_size) == copy.bytes)
    for suffix in ["-wal", "-shm", "-journal"] { #expect(unsafe access(target + suffix, F_OK) != 0) }
    #expect(try StoreFile.schema(of: target) == copy.schema)
  }

  @Test func theFileOfARunningStoreIsNoCopy() throws {
    let store = try open()
    defer { store.close() }
    #expect(throws: StoreError.corrupt) { try StoreFile.schema(of: directory.path + "/store/coffer.db") }
  }
}

@Suite struct StoreDirectoryTests {
  private let directory = TemporaryDirectory()

  private func make(_ name: String, holding value: UInt8) throws {
    let store = try SQLiteStore(directory: directory.path + "/" + name)
    try store.perform { try $0.setRecord("x", [value]) }
    store.close()
  }

  private func value(_ name: String) throws -> [UInt8]? {
    let store = try SQLiteStore(directory: directory.path + "/" + name)
    defer { store.close() }
    return try store.makeReader().record("x")
  }

  @Test func anotherStoreTakesThePlace() throws {
    try make("store", holding: 1)
    try make("fresh", holding: 2)
    let path = directory.path
    try StoreDirectory.replace(path + "/store", by: path + "/fresh", keeping: path + "/aside")
    #expect(try value("store") == [2])
    #expect(try value("aside") == [1])
    #expect(unsafe access(path + "/fresh", F_OK) != 0)
  }

  @Test func aStoreComesWhereNoneWas() throws {
    try make("fresh", holding: 2)
    let path = directory.path
    try StoreDirectory.replace(path + "/store", by: path + "/fresh", keeping: path + "/aside")
    #expect(try value("store") == [2])
    #expect(unsafe access(path + "/aside", F_OK) != 0)
  }

  @Test func aStoreInUseIsNotLockedTwice() throws {
    try make("store", holding: 1)
    let store = try SQLiteStore(directory: directory.path + "/store")
    #expect(throws: StoreError.locked) { try StoreLock.take(directory.path + "/store") }
    store.close()
    let lock = try StoreLock.take(directory.path + "/store")
    #expect(throws: StoreError.locked) { try SQLiteStore(directory: directory.path + "/store") }
    withExtendedLifetime(lock) {}
  }

  /// A lock that is refused closes what it has opened, and that once: by then the number may be of another thread's file.
  @Test func aRefusedLockClosesNothingOfOthers() throws {
    try make("store", holding: 1)
    let lock = try StoreLock.take(directory.path + "/store")
    let (end, done) = (OneTimeEvent(), OneTimeEvent())
    let lost = Locked(0)
    PlainThread.start(named: "opens") {
      while !end.wait(atMost: 0) {
        let descriptor = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        if close(descriptor) != 0 { lost.withLock { $0 += 1 } }
      }
      done.signal()
    }
    for _ in 0..<20_000 { #expect(throws: StoreError.locked) { try StoreLock.take(directory.path + "/store") } }
    end.signal()
    done.wait()
    #expect(lost.withLock { $0 } == 0)
    withExtendedLifetime(lock) {}
  }
}
