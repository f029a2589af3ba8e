internal import Ciphers
internal import SecretMemory

/// A place in a chain that was noted elsewhere.
package struct AuditMark: Sendable, Equatable {
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

  private let root: RootKey?
  private let mark: AuditMark?

  /// - Parameters:
  ///   - checkpoint: the stored bytes; nil when the chain was never cut.
  ///   - root: whose MACs to check; nil checks the links alone.
  ///   - mark: an older head that the chain must still hold.
  package init(tenant: String, checkpoint: [UInt8]?, root: RootKey?, mark: AuditMark? = nil) {
    self.root = root
    self.mark = mark
    self.checkpoint = checkpoint.flatMap(AuditCheckpoint.init)
    last = AuditMark(sequence: self.checkpoint?.sequence ?? 0, hash: self.checkpoint?.hash ?? [UInt8](repeating: 0, count: 32))
    if let checkpoint, self.checkpoint == nil || !(root.map { AuditCheckpoint.isGenuine(checkpoint, tenant: tenant, root: $0) } ?? true) {
      firstBad = last.sequence
    }
    compare()
  }

  /// A walk that goes on behind an entry that was judged before; sequence 0 is the start.
  package init(after last: AuditMark, root: RootKey) {
    self.root = root
    mark = nil
    checkpoint = nil
    self.last = last.sequence == 0 ? AuditMark(sequence: 0, hash: [UInt8](repeating: 0, count: 32)) : last
  }

  /// The next entry. False once something did not fit.
  package mutating func take(_ fields: AuditLink.Fields, hash: [UInt8], mac: [UInt8]) -> Bool {
    guard firstBad == nil else { return false }
    let expected = AuditLink.hash(fields, after: last.hash)
    let next = last.sequence + 1
    guard fields.sequence == UInt64(bitPattern: next), Self.equal(expected, hash), isGenuine(mac, of: expected) else {
      firstBad = next
      return false
    }
    entries += 1
    last = AuditMark(sequence: next, hash: hash)
    compare()
    return firstBad == nil
  }

  /// After the last entry: a cut leaves its own entry behind it, and the noted head must have come.
  package mutating func end() {
    guard firstBad == nil else { return }
    if checkpoint != nil, entries == 0 { firstBad = last.sequence + 1 }
    if let mark, mark.sequence > last.sequence { firstBad = last.sequence + 1 }
  }

  /// The noted head lies before the checkpoint: nothing is left to compare it with.
  package var markIsCut: Bool { mark.map { $0.sequence < checkpoint?.sequence ?? 0 } ?? false }

  private mutating func compare() {
    guard firstBad == nil, let mark, mark.sequence == last.sequence, !Self.equal(mark.hash, last.hash) else { return }
    firstBad = mark.sequence
  }

  private func isGenuine(_ mac: [UInt8], of hash: [UInt8]) -> Bool {
    guard let root else { return true }
    guard let expected = try? root.auditMAC(hash) else { return false }
    return Self.equal(expected, mac)
  }

  private static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    constantTimeEqual(unsafe left.span.bytes, unsafe right.span.bytes)
  }
}
