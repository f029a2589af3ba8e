import Glibc
import Testing
import Threads

@Suite struct WaitingPoolTests {
  /// Counts the jobs that are inside, and holds them there until it is told to let them go.
  private final class Gate: Sendable {
    private struct State {
      var inside = 0
      var most = 0
      var finished = 0
    }
    private let state = Locked(State())
    private let opened = OneTimeEvent()

    func pass() {
      state.withLock {
        $0.inside += 1
        $0.most = max($0.most, $0.inside)
      }
      opened.wait()
      state.withLock {
        $0.inside -= 1
        $0.finished += 1
      }
    }

    func open() { opened.signal() }
    var inside: Int { state.withLock { $0.inside } }
    var most: Int { state.withLock { $0.most } }
    var finished: Int { state.withLock { $0.finished } }
  }

  private func wait(until condition: () -> Bool) {
    for _ in 0..<5_000 where !condition() { usleep(1_000) }
    #expect(condition())
  }

  @Test func itTakesWhatItsThreadsAndItsQueueHoldAndRefusesTheRest() {
    let (pool, gate) = (WaitingPool(threads: 2, capacity: 3, name: "test-pool"), Gate())
    for _ in 0..<2 { #expect(pool.run { _ in gate.pass() }) }
    wait { gate.inside == 2 }
    for _ in 0..<3 { #expect(pool.run { _ in gate.pass() }) }
    for _ in 0..<100 { #expect(!pool.run { _ in Issue.record("a job that was refused has run") }) }
    #expect(gate.inside == 2)
    gate.open()
    wait { gate.finished == 5 }
    #expect(gate.most == 2)
    #expect(pool.run { _ in gate.pass() })
    wait { gate.finished == 6 }
  }

  /// Threads that have nothing to do are room too: as many jobs fit at once as are served at once.
  @Test func withoutAQueueItTakesOneJobAThread() {
    let (pool, gate) = (WaitingPool(threads: 3, capacity: 0, name: "test-pool"), Gate())
    for _ in 0..<3 { #expect(pool.run { _ in gate.pass() }) }
    wait { gate.inside == 3 }
    #expect(!pool.run { _ in })
    gate.open()
    wait { gate.finished == 3 }
  }

  @Test func aJobIsToldHowLongItWaited() {
    let (pool, gate) = (WaitingPool(threads: 1, capacity: 1, name: "test-pool"), Gate())
    let waits = Locked<[Int64]>([])
    #expect(
      pool.run { waited in
        waits.withLock { $0.append(waited) }
        gate.pass()
      })
    wait { gate.inside == 1 }
    #expect(pool.run { waited in waits.withLock { $0.append(waited) } })
    usleep(120_000)
    gate.open()
    wait { waits.withLock { $0.count } == 2 }
    #expect(waits.withLock { $0[1] } >= 100)
  }

  @Test func jobsRunInTheirOrder() {
    let (pool, gate) = (WaitingPool(threads: 1, capacity: 50, name: "test-pool"), Gate())
    let order = Locked<[Int]>([])
    #expect(pool.run { _ in gate.pass() })
    wait { gate.inside == 1 }
    for number in 0..<50 { #expect(pool.run { _ in order.withLock { $0.append(number) } }) }
    gate.open()
    wait { order.withLock { $0.count } == 50 }
    #expect(order.withLock { $0 } == Array(0..<50))
  }

  /// From many threads at once: every job that was taken runs once, and no other does.
  @Test func everyJobThatWasTakenRunsOnce() {
    let pool = WaitingPool(threads: 4, capacity: 8, name: "test-pool")
    let (taken, ran, done) = (Locked(0), Locked(0), Locked(0))
    for _ in 0..<8 {
      PlainThread.start(named: "test-sender") {
        for _ in 0..<2_000 where pool.run({ _ in ran.withLock { $0 += 1 } }) { taken.withLock { $0 += 1 } }
        done.withLock { $0 += 1 }
      }
    }
    wait { done.withLock { $0 } == 8 }
    wait { ran.withLock { $0 } == taken.withLock { $0 } }
    #expect(taken.withLock { $0 } >= 8)
  }
}
