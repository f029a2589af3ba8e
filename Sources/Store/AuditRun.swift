/// One row of `audit_runs`: which audit entries of a range tell of which scoped secrets (decision 53).
///
/// Entries come in the order of time and are asked for by secret: an index of SQLite's would be written at another place for each of them. So the
/// newest entries are in no index, and a history looks through them. Of each 1,024 entries before these a run tells in one row, and 16 runs are
/// merged into one of 16 rows, one for each part of the hashes: a log-structured merge tree of two levels.
struct AuditRun: Equatable {
  enum Level: Int64, CaseIterable {
    case short = 0
    case merged = 1

    /// How many entries of a chain a run covers.
    var span: Int64 {
      switch self {
      case .short: 1 << 10
      case .merged: 1 << 14
      }
    }

    private var bucketBits: UInt32 {
      switch self {
      case .short: 0
      case .merged: 4
      }
    }

    /// How many rows a run has at most.
    var buckets: Int64 { 1 << Int64(bucketBits) }

    /// The row that a hash belongs to: by its first bits, so that marks in order are buckets in order.
    func bucket(of hash: UInt32) -> Int64 { Int64(UInt64(hash) >> (32 - UInt64(bucketBits))) }

    /// The first sequence of the run that an entry is in.
    func first(for sequence: Int64) -> Int64 { sequence & ~(span - 1) }
  }

  /// That one entry tells of a place: the hash of the place, and how far behind the first of the run it stands.
  struct Mark: Comparable {
    static let byteCount = 6

    /// `hash << 16 | distance`.
    fileprivate let bits: UInt64

    fileprivate init(bits: UInt64) { self.bits = bits }

    init(_ hash: UInt32, distance: Int64) { bits = UInt64(hash) << 16 | UInt64(distance) }

    var hash: UInt32 { UInt32(bits >> 16) }
    var distance: Int64 { Int64(bits & 0xFFFF) }

    func moved(by distance: Int64) -> Mark { Mark(hash, distance: self.distance + distance) }

    static func < (left: Mark, right: Mark) -> Bool { left.bits < right.bits }
  }

  /// FNV-1a of 64 bits, folded to 32 (draft-eastlake-fnv, section 3). Places with one hash are told apart by their entries.
  static func hash(_ scope: String, _ scopeID: String, _ secret: String) -> UInt32 {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for part in [scope, scopeID, secret] {
      for byte in part.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
      // Ends the part: none holds a zero byte.
      state = state &* 0x100_0000_01B3
    }
    return UInt32(truncatingIfNeeded: state ^ state >> 32)
  }

  let level: Level
  let bucket: Int64
  /// The smallest sequence that it can tell of.
  let first: Int64
  /// In ascending order.
  let marks: [Mark]

  init(level: Level, bucket: Int64, first: Int64, marks: [Mark]) {
    self.level = level
    self.bucket = bucket
    self.first = first
    self.marks = marks
  }

  /// The rows of one run.
  ///
  /// - Parameter marks: all of them, in ascending order.
  static func rows(of marks: [Mark], _ level: Level, from first: Int64) -> [AuditRun] {
    var rows: [AuditRun] = []
    var rest = marks[...]
    while let next = rest.first {
      let bucket = level.bucket(of: next.hash)
      let part = rest.prefix { level.bucket(of: $0.hash) == bucket }
      rows.append(AuditRun(level: level, bucket: bucket, first: first, marks: Array(part)))
      rest = rest.dropFirst(part.count)
    }
    return rows
  }

  // MARK: - Bytes

  /// Six for each mark, in ascending order: the hash (4), the distance (2), both big-endian.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(marks.count * Mark.byteCount)
    for mark in marks {
      for shift in stride(from: UInt64(40), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: mark.bits >> shift)) }
    }
    return bytes
  }

  /// nil for bytes that are no row's.
  static func marks(_ bytes: [UInt8]) -> [Mark]? {
    guard bytes.count % Mark.byteCount == 0 else { return nil }
    return (0..<bytes.count / Mark.byteCount).map { mark($0, in: bytes) }
  }

  /// The distances of the entries with that hash, in ascending order; nil for bytes that are no row's.
  static func distances(of hash: UInt32, in bytes: [UInt8]) -> [Int64]? {
    guard bytes.count % Mark.byteCount == 0 else { return nil }
    let count = bytes.count / Mark.byteCount
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if mark(middle, in: bytes).hash < hash { low = middle + 1 } else { high = middle }
    }
    var distances: [Int64] = []
    while low < count, mark(low, in: bytes).hash == hash {
      distances.append(mark(low, in: bytes).distance)
      low += 1
    }
    return distances
  }

  fileprivate static func mark(_ index: Int, in bytes: [UInt8]) -> Mark {
    let start = index * Mark.byteCount
    return Mark(bits: bytes[start..<start + Mark.byteCount].reduce(0) { $0 << 8 | UInt64($1) })
  }
}

/// Short runs on their way into a merged one, bucket by bucket: no more of them is unpacked at a time.
struct AuditRunMerge {
  private let first: Int64
  /// Each run, and how many of its marks have gone.
  private var runs: [(first: Int64, marks: [UInt8], taken: Int)]

  /// nil when one of the runs cannot be read.
  ///
  /// - Parameter first: of the merged run.
  init?(_ runs: [(first: Int64, marks: [UInt8])], into first: Int64) {
    guard runs.allSatisfy({ $0.marks.count % AuditRun.Mark.byteCount == 0 }) else { return nil }
    self.first = first
    self.runs = runs.map { ($0.first, $0.marks, 0) }
  }

  /// The row of a bucket. To be called for each of them in order.
  mutating func row(_ bucket: Int64) -> AuditRun {
    let level = AuditRun.Level.merged
    var marks: [AuditRun.Mark] = []
    for index in runs.indices {
      let count = runs[index].marks.count / AuditRun.Mark.byteCount
      while runs[index].taken < count {
        let mark = AuditRun.mark(runs[index].taken, in: runs[index].marks)
        guard level.bucket(of: mark.hash) == bucket else { break }
        marks.append(mark.moved(by: runs[index].first - first))
        runs[index].taken += 1
      }
    }
    return AuditRun(level: level, bucket: bucket, first: first, marks: marks.sorted())
  }
}
