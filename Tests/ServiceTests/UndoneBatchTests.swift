import Glibc
import Service
import Store
import Testing

/// What a batch of writes leaves in memory when it was undone and its bodies ran again.
struct UndoneBatchTests {
  /// A key version is made in the batch, undone with it, and made again with another key: what is sealed must open after a start.
  @Test func whatIsSealedAgainIsUnderTheKeyThatIsStored() throws {
    let bench = try Bench(wrapLimit: 4096)
    // Reserves all uses of the first version: the next write makes the second.
    try bench.put("A", "one")
    let held = Waiter<Void>()
    bench.store.write({ _ in usleep(200_000) }, completion: { held.give($0) })
    let put = try bench.beginPut("B", "two")
    let failed = Waiter<Void>()
    bench.store.write(
      { transaction in
        try transaction.setRecord("some", [1])
        throw StoreError.conflict
      }, completion: { failed.give($0) })
    try held.take()
    _ = try put.take()
    #expect(throws: StoreError.conflict) { try failed.take() }
    try bench.put("C", "three")
    #expect(try bench.secret("B").kekVersion == 2)
    #expect(try bench.store.makeReader().record("some") == nil)
    let started = try Bench.service(bench.store, bench.root)
    #expect(try Verification(started).run().findings.isEmpty)
  }
}
