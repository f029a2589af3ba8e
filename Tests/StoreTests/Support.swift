import Glibc
import Store
import Threads

extension Store {
  /// Writes and waits.
  func perform<T: Sendable>(_ body: @escaping @Sendable (any StoreTransaction) throws -> T) throws -> T {
    let done = OneTimeEvent()
    let result = Locked<Result<T, any Error>?>(nil)
    write(body) { outcome in
      result.withLock { $0 = outcome }
      done.signal()
    }
    done.wait()
    guard let outcome = result.withLock({ $0 }) else { throw StoreError.unknownOutcome(code: 0) }
    return try outcome.get()
  }
}

extension Store {
  /// Erases and waits; whether nothing is left in the files.
  func performErasing(_ body: @escaping @Sendable (any StoreTransaction) throws -> Void) throws -> Bool {
    let done = OneTimeEvent()
    let result = Locked<Result<Bool, any Error>?>(nil)
    erase(body) { outcome in
      result.withLock { $0 = outcome.map(\.isErased) }
      done.signal()
    }
    done.wait()
    guard let outcome = result.withLock({ $0 }) else { throw StoreError.unknownOutcome(code: 0) }
    return try outcome.get()
  }
}

func contents(_ path: String) throws -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY)
  guard descriptor >= 0 else { throw StoreError.unavailable(.ioError) }
  defer { close(descriptor) }
  var (bytes, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 65536))
  while true {
    let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return bytes }
    bytes += chunk.prefix(count)
  }
}

/// Collects what many writes came to.
final class Outcomes: Sendable {
  private let state = Locked<(expected: Int, seen: Int, succeeded: [Int: Bool])>((0, 0, [:]))

  func expectOne() { state.withLock { $0.expected += 1 } }

  func add<T>(_ number: Int, _ result: Result<T, any Error>) {
    state.withLock {
      $0.seen += 1
      if case .success = result { $0.succeeded[number] = true }
    }
  }

  /// The numbers that succeeded, once all are there.
  func wait() -> [Int: Bool] {
    while state.withLock({ $0.seen < $0.expected }) { usleep(1_000) }
    return state.withLock { $0.succeeded }
  }
}

func write(_ bytes: [UInt8], to path: String) throws {
  guard let file = unsafe fopen(path, "we") else { throw StoreError.unavailable(.readOnly) }
  defer { unsafe fclose(file) }
  _ = unsafe fwrite(bytes, 1, bytes.count, file)
}
