/// Why the store did not do what it was asked for.
package enum StoreError: Error, Sendable, Equatable {
  /// A uniqueness or version condition does not hold.
  case conflict
  /// Try again: the store is locked or the queue is full.
  case busy
  /// The store cannot be written now (disk full, read-only); nothing was changed.
  case unavailable(Unavailability)
  /// The commit may or may not have happened; the process must restart and recover. With SQLite's extended result code.
  case unknownOutcome(code: Int32)
  /// The file is damaged or is not a Coffer store.
  case corrupt
  /// The store was written by a newer program.
  case newerSchema(found: Int, supported: Int)
  /// Another process has the store.
  case locked
  /// The directory is on a network file system.
  case networkFileSystem

  /// After it nothing more may be written by this process.
  var endsTheProcess: Bool {
    switch self {
    case .unknownOutcome, .corrupt: true
    case .conflict, .busy, .unavailable, .newerSchema, .locked, .networkFileSystem: false
    }
  }

  package enum Unavailability: Sendable, Equatable { case diskFull, readOnly, draining, ioError }
}
