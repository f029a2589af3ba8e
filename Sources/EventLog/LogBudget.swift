/// How many lines a second may be written, and how many were not.
struct LogBudget {
  let perSecond: Int
  private var second: Int64 = .min
  private var admitted = 0

  init(perSecond: Int) { self.perSecond = perSecond }

  /// - Parameter second: of any clock.
  mutating func admits(in second: Int64) -> Bool {
    if second != self.second {
      self.second = second
      admitted = 0
    }
    guard admitted < perSecond else { return false }
    admitted += 1
    return true
  }
}
