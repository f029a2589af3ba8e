import Glibc
import KeyRing
import Model
import SecretMemory
import Service
import Store
import TestSupport
import Testing
import Threads

/// The root key is dropped and comes back.
@Suite struct SealTests {
  private let bench: Bench
  private let service: Service
  private var principal: Principal { .localOperator(tenant: bench.tenant) }

  init() throws {
    bench = try Bench()
    try bench.put("A", "value of A")
    let path = bench.directory.path + "/root.key"
    try KeyFile.create(path, bench.root.text)
    service = try Self.service(bench, .file(path))
  }

  private static func service(_ bench: Bench, _ source: RootKeySource?) throws -> Service {
    try Service(
      store: bench.store, root: bench.root, wire: WireRing(primary: SecretBytes(copying: [1])),
      options: Service.Options(rootKeySource: source), now: { 1_795_478_400_000 })
  }

  private func beginSeal() -> Waiter<Bool> {
    let done = Waiter<Bool>()
    service.seal(by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
    return done
  }

  private func put(_ name: String, _ value: String) throws -> Waiter<SecretSummary> {
    let done = Waiter<SecretSummary>()
    let change = SecretChange(
      name: try #require(SecretName(Array(name.utf8))), value: SecretBytes(copying: Array(value.utf8)), description: .keep)
    service.put(change, ifMatch: nil, for: bench.principal, requestID: "r") { done.give($0.mapError { $0 }) }
    return done
  }

  private func value(_ desk: Desk) throws(ServiceError) -> String { try Self.value(desk, bench.principal) }

  private static func value(_ desk: Desk, _ principal: Principal) throws(ServiceError) -> String {
    let found = try desk.secretValue(SecretName(Array("A".utf8))!, for: principal, RequestOrigin(id: "r", address: ""))
    return found.value.withBytes { bytes in unsafe bytes.withUnsafeBytes { String(decoding: unsafe Array($0), as: UTF8.self) } }
  }

  private func refusal(of body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch { return "\(error)" }
  }

  @Test func nothingOpensAndNothingIsWrittenUntilItComesBack() throws {
    let desk = try Desk(service)
    #expect(try value(desk) == "value of A")
    let held = Waiter<Void>()
    bench.store.write({ _ in usleep(100_000) }, completion: { held.give($0) })
    // In the same batch as the seal: its turn came before the key went.
    let (sealed, inBatch) = (beginSeal(), try put("B", "value of B"))
    try held.take()
    #expect(try sealed.take())
    #expect(service.isSealed)
    let first = refusal { _ = try inBatch.take() }
    #expect(first == nil || first == "sealed")
    #expect(refusal { _ = try put("C", "value of C").take() } == "sealed")
    #expect(refusal { _ = try value(desk) } == "sealed")
    #expect(refusal { _ = try desk.authenticate(nil) } == "sealed")
    #expect(try bench.store.makeReader().secret(tenant: bench.tenant, name: "C") == nil)
    try service.unseal(by: principal, requestID: "r")
    #expect(!service.isSealed)
    #expect(try value(desk) == "value of A")
    _ = try put("C", "value of C").take()
    let report = try Verification(try Bench.service(bench.store, bench.root)).run()
    #expect(report.findings.isEmpty)
  }

  /// Names stand there in clear; that they are ours, a tenant's key tells. No write comes between, which would drop the key as well.
  @Test func tenantKeysGoWithTheSeal() throws {
    let desk = try Desk(service)
    #expect(try desk.secrets(for: bench.principal).map(\.name) == ["A"])
    _ = try beginSeal().take()
    #expect(refusal { _ = try desk.secrets(for: bench.principal) } == "sealed")
  }

  @Test func theChainSaysBoth() throws {
    _ = try beginSeal().take()
    _ = try beginSeal().take()
    try service.unseal(by: principal, requestID: "r")
    try service.unseal(by: principal, requestID: "r")
    let actions = try bench.store.makeReader().auditEntries(tenant: bench.tenant, after: 0, limit: 100).map(\.action)
    #expect(actions.filter { $0.hasPrefix("server.") } == ["server.seal", "server.unseal"])
    #expect(try Desk(service).verifyAudit(tenant: bench.tenant).firstBad == nil)
  }

  @Test func theBrakeWorksWithoutTheChain() throws {
    bench.store.close()
    #expect(try beginSeal().take() == false)
    #expect(service.isSealed)
  }

  /// What does not open for want of the key is no finding.
  @Test func aVerificationThatASealInterruptsEnds() throws {
    let verification = try Verification(service)
    _ = try beginSeal().take()
    #expect(refusal { _ = try verification.run() } == "sealed")
    try service.unseal(by: principal, requestID: "r")
    #expect(refusal { _ = try verification.run() } == "sealed")
    #expect(try Verification(service).run().findings.isEmpty)
  }

  @Test func oneChangeOfTheRootKeyAtATime() throws {
    #expect(service.holdRootKey())
    #expect(refusal { _ = try beginSeal().take() } == "obstructed(Service.Obstacle.rootKeyHeld)")
    #expect(!service.isSealed)
    service.releaseRootKey()
    _ = try beginSeal().take()
    #expect(service.holdRootKey())
    #expect(refusal { try service.unseal(by: principal, requestID: "r") } == "obstructed(Service.Obstacle.rootKeyHeld)")
    service.releaseRootKey()
  }

  @Test func anotherKeyIsNone() throws {
    let path = bench.directory.path + "/other.key"
    try KeyFile.create(path, Bench.rootKey(9).text)
    for (source, expected) in [(RootKeySource.file(path), "otherRootKey"), (nil, "rootKeyUnmanaged")] {
      let service = try Self.service(bench, source)
      let done = Waiter<Bool>()
      service.seal(by: principal, requestID: "r") { done.give($0.mapError { $0 }) }
      _ = try done.take()
      #expect(refusal { try service.unseal(by: principal, requestID: "r") } == "obstructed(Service.Obstacle.\(expected))")
      #expect(service.isSealed)
    }
  }

  /// Readers see the value or the seal, never a third thing, however often it comes and goes.
  @Test func readersSeeTheValueOrTheSeal() throws {
    let end = Locked(false)
    let seen = Locked<[String: Int]>([:])
    let threads = 3
    let done = (0..<threads).map { _ in OneTimeEvent() }
    let (service, principal) = (service, bench.principal)
    for event in done {
      PlainThread.start(named: "reader") {
        defer { event.signal() }
        guard let desk = try? Desk(service) else { return }
        while !end.withLock({ $0 }) {
          let outcome: String
          do throws(ServiceError) { outcome = try Self.value(desk, principal) } catch { outcome = "\(error)" }
          desk.forgetWithTheVault()
          seen.withLock { $0[outcome, default: 0] += 1 }
        }
      }
    }
    for _ in 0..<200 {
      _ = try beginSeal().take()
      try service.unseal(by: principal, requestID: "r")
    }
    end.withLock { $0 = true }
    for event in done { event.wait() }
    #expect(Set(seen.withLock { $0.keys }) == ["value of A", "sealed"])
  }
}
