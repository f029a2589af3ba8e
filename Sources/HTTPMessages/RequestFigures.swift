/// What a handler found out about a request, as far as counting and logging go. Nothing in it is a client's word.
package struct RequestMark: Sendable, Equatable {
  /// Index of the path's pattern in the list the program counts by; 0 when no pattern fits.
  package var pattern = 0
  /// Ids of the tenant and of the key; empty when no key was accepted, or when it has no id.
  package var tenant = ""
  package var keyID = ""

  package init(pattern: Int = 0, tenant: String = "", keyID: String = "") {
    self.pattern = pattern
    self.tenant = tenant
    self.keyID = keyID
  }
}

/// Counts of the requests answered since the start, for a scrape.
package struct RequestFigures: Sendable, Equatable {
  /// One combination that occurred.
  package struct Count: Sendable, Equatable {
    package let pattern: String
    /// `OTHER` for methods that are never routed.
    package let method: String
    /// 0 for a status outside `StatusText.codes`.
    package let status: Int
    package let count: UInt64

    package init(pattern: String, method: String, status: Int, count: UInt64) {
      self.pattern = pattern
      self.method = method
      self.status = status
      self.count = count
    }
  }

  /// How long the requests of one pattern took.
  package struct Durations: Sendable, Equatable {
    package let pattern: String
    /// One number for each of `RequestFigures.bounds`, then one for what took longer.
    package let buckets: [UInt64]
    package let sumMicroseconds: UInt64

    package init(pattern: String, buckets: [UInt64], sumMicroseconds: UInt64) {
      self.pattern = pattern
      self.buckets = buckets
      self.sumMicroseconds = sumMicroseconds
    }
  }

  /// Upper bounds of the duration buckets, in microseconds: 0.5 ms to 10 s.
  package static let bounds: [UInt64] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
  ]

  package var counts: [Count]
  package var durations: [Durations]

  package init(counts: [Count] = [], durations: [Durations] = []) {
    self.counts = counts
    self.durations = durations
  }
}
