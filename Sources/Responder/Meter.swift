internal import Glibc
package import HTTPMessages
internal import Synchronization
internal import Threads

/// Counts since the start.
package struct ResponderFigures: Sendable, Equatable {
  package var requests: UInt64 = 0
  package var connections: UInt64 = 0
  /// Connections that have ended again.
  package var endedConnections: UInt64 = 0
  /// Requests that never became one.
  package var refusals: UInt64 = 0
  /// Connections closed for what is no request.
  package var refusedRecords: UInt64 = 0
  /// Connections closed for their uid.
  package var refusedPeers: UInt64 = 0
  /// Times no descriptor was left.
  package var exhaustions: UInt64 = 0
}

/// What a responder counts. Every loop counts its requests in a block of its own; a scrape adds the blocks up.
package final class Meter: Sendable {
  enum Figure: Int, CaseIterable { case request, connection, endedConnection, refusal, refusedRecord, refusedPeer, exhaustion }

  /// The first stands for every path that fits none.
  package let patterns: [String]
  private let events = CounterArray(count: Figure.allCases.count)
  private let blocks = Locked<[RequestBlock]>([])

  /// - Parameter patterns: what `RequestMark.pattern` counts through, from 1 on.
  package init(patterns: [String] = []) { self.patterns = ["other"] + patterns }

  package var figures: ResponderFigures {
    ResponderFigures(
      requests: self[.request], connections: self[.connection], endedConnections: self[.endedConnection], refusals: self[.refusal],
      refusedRecords: self[.refusedRecord], refusedPeers: self[.refusedPeer], exhaustions: self[.exhaustion])
  }

  private subscript(figure: Figure) -> UInt64 { events[figure.rawValue] }
  func count(_ figure: Figure) { events.add(1, at: figure.rawValue) }

  /// The block of one more loop.
  func makeBlock() -> RequestBlock {
    let block = RequestBlock(patterns: patterns.count)
    blocks.withLock { $0.append(block) }
    return block
  }

  /// The sum over all loops.
  package var requests: RequestFigures {
    let blocks = blocks.withLock { $0 }
    var figures = RequestFigures()
    for (index, pattern) in patterns.enumerated() {
      for method in HTTPMethod.allCases.indices {
        for status in 0...StatusText.codes.count {
          let count = blocks.reduce(0) { $0 + $1.count(index, method, status) }
          guard count > 0 else { continue }
          let name = HTTPMethod.allCases[method].rawValue
          figures.counts.append(
            RequestFigures.Count(
              pattern: pattern, method: name.isEmpty ? "OTHER" : name, status: status == 0 ? 0 : StatusText.codes[status - 1], count: count)
          )
        }
      }
      let buckets = (0...RequestFigures.bounds.count).map { bucket in blocks.reduce(0) { $0 + $1.bucket(index, bucket) } }
      guard buckets.contains(where: { $0 > 0 }) else { continue }
      figures.durations.append(
        RequestFigures.Durations(pattern: pattern, buckets: buckets, sumMicroseconds: blocks.reduce(0) { $0 + $1.sum(index) }))
    }
    return figures
  }
}

/// One loop's requests: for each pattern a count by method and status, its durations by bucket, and their sum.
final class RequestBlock: Sendable {
  private static let methods = HTTPMethod.allCases.count
  private static let statuses = StatusText.codes.count + 1
  private static let buckets = RequestFigures.bounds.count + 1
  private static let stride = methods * statuses + buckets + 1

  private let patterns: Int
  private let counters: CounterArray
  /// Where a status is counted; 0 for one that is not in the list.
  private let places: [UInt8]
  private let bounds = RequestFigures.bounds

  init(patterns: Int) {
    self.patterns = patterns
    places = (0..<600).map { code in UInt8(truncatingIfNeeded: (StatusText.codes.firstIndex(of: code) ?? -1) + 1) }
    counters = CounterArray(count: patterns * Self.stride)
  }

  func note(pattern: Int, method: HTTPMethod, status: Int, microseconds: UInt64) {
    let base = (pattern < patterns ? pattern : 0) * Self.stride
    let place = places.indices.contains(status) ? Int(places[status]) : 0
    counters.add(1, at: base + method.place * Self.statuses + place)
    var bucket = 0
    while bucket < bounds.count, microseconds > bounds[bucket] { bucket += 1 }
    counters.add(1, at: base + Self.methods * Self.statuses + bucket)
    counters.add(microseconds, at: base + Self.methods * Self.statuses + Self.buckets)
  }

  func count(_ pattern: Int, _ method: Int, _ status: Int) -> UInt64 { counters[pattern * Self.stride + method * Self.statuses + status] }
  func bucket(_ pattern: Int, _ bucket: Int) -> UInt64 { counters[pattern * Self.stride + Self.methods * Self.statuses + bucket] }
  func sum(_ pattern: Int) -> UInt64 { counters[pattern * Self.stride + Self.methods * Self.statuses + Self.buckets] }
}

extension HTTPMethod {
  /// Its place in `allCases`.
  fileprivate var place: Int {
    switch self {
    case .get: 0
    case .head: 1
    case .options: 2
    case .put: 3
    case .post: 4
    case .patch: 5
    case .delete: 6
    case .other: 7
    }
  }
}

/// Counters that any thread may raise without a lock.
///
/// Unchecked: the memory is touched through atomics only, and its address never moves. It comes zeroed, and pages that
/// nobody counts in are never made.
@safe final class CounterArray: @unchecked Sendable {
  private let counters: UnsafeMutablePointer<Atomic<UInt64>>
  private let count: Int

  init(count: Int) {
    self.count = count
    guard let memory = unsafe calloc(count, MemoryLayout<Atomic<UInt64>>.stride) else { preconditionFailure("no memory") }
    unsafe counters = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
  }

  deinit { unsafe free(counters) }

  func add(_ number: UInt64, at index: Int) {
    precondition(index >= 0 && index < count)
    unsafe counters[index].wrappingAdd(number, ordering: .relaxed)
  }

  subscript(index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return unsafe counters[index].load(ordering: .relaxed)
  }
}
