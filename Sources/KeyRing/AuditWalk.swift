internal import Ciphers
internal import SecretMemory

/// A place in a chain that was noted elsewhere.
package struct AuditMark: Sendable, Equatable {
  /// What a record that anybody may have written can claim: walks count on from it.
  static let sequences = 0...(Int64(1) << 62)

  package let sequence: Int64
  /// 32 bytes.
  package let hash: [UInt8]

  package init(sequence: Int64, hash: [UInt8]) {
    self.sequence = sequence
    self.hash = hash
  }
}

/// A walk over a chain from its start, or from its checkpoint: sequence without gaps, every link, every MAC (scoped spec,
/// section 7).
package struct AuditWalk {
  package let checkpoint: AuditCheckpoint?
  /// Entries that fit, one after the other.
  package private(set) var entries: Int64 = 0
  /// The first entry that does not; the last one cut when the checkpoint is not genuine.
  package private(set) var firstBad: Int64?
  /// Where the walk is: the last entry that fits.
  package private(set) var last: AuditMark

  private let roots: RootKeys?
  private let mark: AuditMark?
  /// Up to here the links alone prove the entries.
  private let rootChange: AuditMark?

  /// - Parameters:
  ///   - checkpoint: the stored bytes; nil when the chain was never cut.
  ///   - rootChange: the stored bytes of the last change of the root key; nil when there was none.
  ///   - roots: whose MACs to check; nil checks the links alone.
  ///   - mark: an older head that the chain must still hold.
  package init(tenant: String, checkpoint: [UInt8]?, rootChange: [UInt8]?, roots: RootKeys?, mark: AuditMark? = nil) {
    self.roots = roots
    self.mark = mark
    self.checkpoint = checkpoint.flatMap(AuditCheckpoint.init)
    let change = rootChange.flatMap(AuditRootChange.init)
    self.rootChange = change.map { AuditMark(sequence: $0.sequence, hash: $0.hash) }
    last = AuditMark(sequence: self.checkpoint?.sequence ?? 0, hash: self.checkpoint?.hash ?? [UInt8](repeating: 0, count: 32))
    if let checkpoint, self.checkpoint == nil || !(roots.map { AuditCheckpoint.isGenuine(checkpoint, tenant: tenant, roots: $0) } ?? true) {
      firstBad = last.sequence
    }
    if let rootChange, change == nil || !(roots.map { AuditRootChange.isGenuine(rootChange, tenant: tenant, roots: $0) } ?? true) {
      firstBad = last.sequence + 1
    }
    compare(mark)
  }

  /// A walk that goes on behind an entry that was judged before; sequence 0 is the start.
  ///
  /// - Parameter rootChange: a genuine one.
  package init(after last: AuditMark, rootChange: AuditRootChange?, roots: RootKeys) {
    self.roots = roots
    mark = nil
    checkpoint = nil
    self.rootChange = rootChange.map { AuditMark(sequence: $0.sequence, hash: $0.hash) }
    self.last = last.sequence == 0 ? AuditMark(sequence: 0, hash: [UInt8](repeating: 0, count: 32)) : last
  }

  /// The next entry. False once something did not fit.
  package mutating func take(_ entry: some AuditLinked, hash: [UInt8], mac: [UInt8]) -> Bool {
    guard firstBad == nil else { return false }
    let expected = AuditLink.hash(entry, after: last.hash)
    let next = last.sequence + 1
    guard entry.linkSequence == UInt64(bitPattern: next), constantTimeEqual(expected, hash), isGenuine(mac, of: expected, at: next) else {
      firstBad = next
      return false
    }
    entries += 1
    last = AuditMark(sequence: next, hash: hash)
    compare(mark)
    compare(rootChange)
    return firstBad == nil
  }

  /// After the last entry: a cut leaves its own entry behind it, and the noted head and the change of the root key must have come.
  package mutating func end() {
    guard firstBad == nil else { return }
    if checkpoint != nil, entries == 0 { firstBad = last.sequence + 1 }
    for mark in [mark, rootChange] { if let mark, mark.sequence > last.sequence { firstBad = last.sequence + 1 } }
  }

  /// The noted head lies before the checkpoint: nothing is left to compare it with.
  package var markIsCut: Bool { mark.map { $0.sequence < checkpoint?.sequence ?? 0 } ?? false }

  private mutating func compare(_ mark: AuditMark?) {
    guard firstBad == nil, let mark, mark.sequence == last.sequence, !constantTimeEqual(mark.hash, last.hash) else { return }
    firstBad = mark.sequence
  }

  private func isGenuine(_ mac: [UInt8], of hash: [UInt8], at sequence: Int64) -> Bool {
    guard let roots, sequence > rootChange?.sequence ?? 0 else { return true }
    return roots.verify(auditMAC: mac, of: hash)
  }
}
