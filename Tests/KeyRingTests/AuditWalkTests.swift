import KeyRing
import SecretMemory
import Testing

@Suite struct AuditWalkTests {
  private typealias Entry = (fields: AuditLink.Fields, hash: [UInt8], mac: [UInt8])
  private let root: RootKey

  init() throws { root = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 7, count: 32))) }

  private func chain(_ count: Int) throws -> [Entry] {
    var entries: [Entry] = []
    for number in 1...count {
      let fields = AuditLink.Fields(sequence: UInt64(number), texts: ["t", "\(number)"])
      let hash = AuditLink.hash(fields, after: entries.last?.hash)
      entries.append((fields, hash, try root.auditMAC(hash)))
    }
    return entries
  }

  private func walk(_ entries: some Sequence<Entry>, checkpoint: [UInt8]? = nil, mark: AuditMark? = nil) -> AuditWalk {
    var walk = AuditWalk(tenant: "t", checkpoint: checkpoint, rootChange: nil, roots: RootKeys(root), mark: mark)
    for entry in entries where !walk.take(entry.fields, hash: entry.hash, mac: entry.mac) { break }
    walk.end()
    return walk
  }

  private func checkpoint(_ entry: Entry, tenant: String = "t") throws -> [UInt8] {
    try AuditCheckpoint(sequence: Int64(entry.fields.sequence), hash: entry.hash, at: 5, count: 3).bytes(tenant: tenant, root: root)
  }

  @Test func theWholeAndTheCutChainFit() throws {
    let entries = try chain(9)
    #expect(walk(entries).firstBad == nil && walk(entries).entries == 9)
    let cut = walk(entries[4...], checkpoint: try checkpoint(entries[3]))
    #expect(
      cut.firstBad == nil && cut.entries == 5 && cut.checkpoint == AuditCheckpoint(sequence: 4, hash: entries[3].hash, at: 5, count: 3))
  }

  /// Whoever can write a record has no need of its key to choose a number.
  @Test(arguments: [Int64.max, .max - 1, (1 << 62) + 1, -1, .min])
  func aNumberThatNoChainReachesIsNoNumber(_ sequence: Int64) throws {
    let entries = try chain(3)
    let checkpoint = try AuditCheckpoint(sequence: sequence, hash: entries[0].hash, at: 5, count: 3).bytes(tenant: "t", root: root)
    let change = try AuditRootChange(sequence: sequence, hash: entries[0].hash).bytes(tenant: "t", root: root)
    #expect(AuditCheckpoint(checkpoint) == nil && AuditRootChange(change) == nil)
    for roots in [RootKeys(root), nil] {
      var cut = AuditWalk(tenant: "t", checkpoint: checkpoint, rootChange: nil, roots: roots)
      #expect(!cut.take(entries[1].fields, hash: entries[1].hash, mac: entries[1].mac) && cut.firstBad != nil)
      var changed = AuditWalk(tenant: "t", checkpoint: nil, rootChange: change, roots: roots)
      #expect(!changed.take(entries[0].fields, hash: entries[0].hash, mac: entries[0].mac) && changed.firstBad != nil)
    }
  }

  @Test func everyBitOfACheckpointCounts() throws {
    let entries = try chain(6)
    let genuine = try checkpoint(entries[2])
    #expect(genuine.count == 92 && walk(entries[3...], checkpoint: genuine).firstBad == nil)
    for bit in 0..<(genuine.count * 8) {
      var forged = genuine
      forged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(walk(entries[3...], checkpoint: forged).firstBad != nil, "bit \(bit)")
    }
    for wrong in [Array(genuine.dropLast()), genuine + [0], [], try checkpoint(entries[2], tenant: "u")] {
      #expect(walk(entries[3...], checkpoint: wrong).firstBad != nil)
    }
    // None at all, one of an earlier or a later cut, more cut than it says, nothing left behind it.
    #expect(walk(entries[3...]).firstBad == 1)
    #expect(walk(entries[3...], checkpoint: try checkpoint(entries[1])).firstBad == 3)
    #expect(walk(entries[3...], checkpoint: try checkpoint(entries[3])).firstBad == 5)
    #expect(walk(entries[4...], checkpoint: genuine).firstBad == 4)
    #expect(walk([], checkpoint: genuine).firstBad == 4)
    #expect(walk(entries, checkpoint: genuine).firstBad == 4)
  }

  @Test func aNotedHeadIsLookedFor() throws {
    let entries = try chain(6)
    let genuine = try checkpoint(entries[2])
    func mark(_ sequence: Int, _ hash: [UInt8]) -> AuditMark { AuditMark(sequence: Int64(sequence), hash: hash) }
    let zeros = [UInt8](repeating: 0, count: 32)
    #expect(walk(entries, mark: mark(0, zeros)).firstBad == nil)
    for sequence in 1...6 {
      #expect(walk(entries, mark: mark(sequence, entries[sequence - 1].hash)).firstBad == nil)
      #expect(walk(entries, mark: mark(sequence, zeros)).firstBad == Int64(sequence))
    }
    #expect(walk(entries.prefix(5), mark: mark(6, entries[5].hash)).firstBad == 6)
    #expect(walk([], mark: mark(1, entries[0].hash)).firstBad == 1)
    #expect(walk(entries[3...], checkpoint: genuine, mark: mark(3, entries[2].hash)).firstBad == nil)
    #expect(walk(entries[3...], checkpoint: genuine, mark: mark(3, zeros)).firstBad == 3)
    let older = walk(entries[3...], checkpoint: genuine, mark: mark(2, zeros))
    #expect(older.firstBad == nil && older.markIsCut)
  }

  /// Whoever has only the database can recompute hashes, not MACs.
  @Test func aRewrittenChainHasNoMACs() throws {
    let other = try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 8, count: 32)))
    let forged = try chain(3).map { ($0.fields, $0.hash, try other.auditMAC($0.hash)) } as [Entry]
    #expect(walk(forged).firstBad == 1)
    var links = AuditWalk(tenant: "t", checkpoint: nil, rootChange: nil, roots: nil)
    #expect(forged.allSatisfy { links.take($0.fields, hash: $0.hash, mac: $0.mac) })
  }

  /// Entries of before a change of the root key are proven by their links to the one that the new key answers for.
  @Test func aChangeOfTheRootKey() throws {
    let new = try RootKey(id: "0123456789abcdeg", key: SecretBytes(copying: [UInt8](repeating: 8, count: 32)))
    var entries = try chain(9)
    for index in 6..<9 { entries[index].mac = try new.auditMAC(entries[index].hash) }
    func walk(_ entries: some Sequence<Entry>, _ change: [UInt8]?, _ roots: RootKeys) -> Int64? {
      var walk = AuditWalk(tenant: "t", checkpoint: nil, rootChange: change, roots: roots)
      for entry in entries where !walk.take(entry.fields, hash: entry.hash, mac: entry.mac) { break }
      walk.end()
      return walk.firstBad
    }
    let known = AuditRootChange(sequence: 6, hash: entries[5].hash)
    let change = try known.bytes(tenant: "t", root: new)
    #expect(change.count == 76 && AuditRootChange(change) == known)
    #expect(walk(entries, change, RootKeys(new)) == nil)
    #expect(walk(entries, nil, RootKeys(new)) == 1)
    // During the change either key may have made what a reader finds.
    #expect(walk(entries, change, RootKeys(root, other: new)) == nil)
    #expect(walk(entries.prefix(6), nil, RootKeys(new, other: root)) == nil)
    #expect(walk(entries, change, RootKeys(root)) == 1)
    // The MACs of before count no more, the links do; those behind count as ever.
    for index in 0..<9 {
      var forged = entries
      forged[index].mac[0] ^= 1
      #expect(walk(forged, change, RootKeys(new)) == (index < 6 ? nil : Int64(index + 1)))
      forged[index].fields.texts[1] = "forged"
      #expect(walk(forged, change, RootKeys(new)) == Int64(index + 1))
    }
    // Another chain with good links up to there, or one that ends before.
    var other: [Entry] = []
    for number in 1...6 {
      let fields = AuditLink.Fields(sequence: UInt64(number), texts: ["t", "other"])
      other.append((fields, AuditLink.hash(fields, after: other.last?.hash), []))
    }
    #expect(walk(other, change, RootKeys(new)) == 6)
    #expect(walk(entries.prefix(5), change, RootKeys(new)) == 6)
    for bit in 0..<(change.count * 8) {
      var forged = change
      forged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(walk(entries, forged, RootKeys(new)) != nil, "bit \(bit)")
    }
    #expect(walk(entries, try known.bytes(tenant: "u", root: new), RootKeys(new)) == 1)
  }
}
