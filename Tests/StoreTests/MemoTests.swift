import TestSupport
import Testing
import Threads

@testable import Store

/// What is worked out of rows of tenants and their KEKs holds as long as these rows, and not longer than the batch.
struct MemoTests {
  private let directory = TemporaryDirectory()
  private final class Content: Sendable {}

  private static let tenant = TenantRow(id: "t1", name: "one", createdAt: 1, activeKEKVersion: 1, settings: "", mac: [1])
  private static let kek = KEKRow(
    tenant: "t1", version: 1, kekID: [1], rootKeyID: "r", wrapped: [1], createdAt: 1, wrapsReserved: 0, mac: [1])

  @Test func itIsEmptiedWithTheRowsItIsOf() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    try store.perform { transaction in
      try transaction.insert(Self.tenant)
      try transaction.insert(Self.kek)
    }
    let changes: [@Sendable (any StoreTransaction) throws -> Void] = [
      { try $0.update(Self.tenant) }, { try $0.update(Self.kek) }, { try $0.deleteContents(ofTenant: "t1") },
    ]
    for (index, change) in changes.enumerated() {
      try store.perform { transaction in
        let memo = try #require(transaction.memo)
        memo.contents = Content()
        try transaction.setRecord("some", [1])
        #expect(memo.contents != nil)
        try change(transaction)
        #expect(memo.contents == nil, "\(index)")
      }
    }
    #expect(throws: StoreError.conflict) {
      try store.perform { transaction in
        transaction.memo?.contents = Content()
        try transaction.setRecord("some", [2])
        throw StoreError.conflict
      }
    }
    try store.perform { #expect($0.memo?.contents == nil) }
    #expect(try store.makeReader().memo == nil)
  }

  @Test func itEndsWithItsBatch() throws {
    let store = try SQLiteStore(directory: directory.path + "/store")
    defer { store.close() }
    let memo = try store.perform { transaction in
      let memo = try #require(transaction.memo)
      memo.contents = Content()
      return Handover(memo)
    }
    // Told of after it ended.
    #expect(memo.take().contents == nil)
  }
}
