internal import AdminAPI
internal import EventLog
internal import Glibc
internal import Responder
internal import SocketRelay
internal import Store
internal import Threads

/// Gathers what `/metrics` shows, from the parts that count and from the kernel.
struct Gauges: Sendable {
  let meter: Meter
  /// nil until it runs.
  let sockets: Locked<SocketRelay?>
  let store: SQLiteStore
  let directory: String
  let log: QueuedLog

  func read() -> ServerFigures {
    ServerFigures(requests: meter.requests, connections: connections, sockets: socketFigures, store: storeFigures, process: process)
  }

  private var connections: ServerFigures.Connections {
    let figures = meter.figures
    return ServerFigures.Connections(
      accepted: figures.connections, open: figures.connections - min(figures.connections, figures.endedConnections),
      refusedRequests: figures.refusals, refusedRecords: figures.refusedRecords, refusedPeers: figures.refusedPeers,
      exhaustions: figures.exhaustions)
  }

  private var socketFigures: ServerFigures.Sockets {
    let figures = sockets.withLock { $0?.figures }
    return ServerFigures.Sockets(open: figures?.open ?? 0, opened: figures?.opened ?? 0, refused: figures?.refused ?? 0)
  }

  private var storeFigures: ServerFigures.Store {
    let commits = store.commitFigures
    let sizes = store.fileSizes
    let space = FileSystem.space(directory)
    return ServerFigures.Store(
      writes: commits.writes, batches: commits.batches, batchBounds: CommitFigures.batchBounds, waitingWrites: store.waitingWrites,
      auditEntries: commits.auditEntries, databaseBytes: sizes.database, logBytes: sizes.log, diskBytes: space?.total ?? 0,
      freeDiskBytes: space?.free ?? 0)
  }

  private var process: ServerFigures.Process {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let microseconds = [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Int64($1.tv_sec) * 1_000_000 + Int64($1.tv_usec) }
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return ServerFigures.Process(
      cpuMicroseconds: UInt64(max(0, microseconds)), residentBytes: Self.residentBytes, openDescriptors: Self.openDescriptors,
      maximumDescriptors: UInt64(limit.rlim_cur), leftOutLogLines: log.leftOut)
  }

  /// The second number of /proc/self/statm, in pages (proc(5)). This process is closed to debuggers, which also hides the
  /// file from it unless it is root's: then the most it ever had stands in.
  private static var residentBytes: UInt64 {
    if let file = unsafe fopen("/proc/self/statm", "re") {
      defer { unsafe fclose(file) }
      var line = [CChar](repeating: 0, count: 256)
      if unsafe fgets(&line, Int32(line.count), file) != nil {
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        if words.count > 1, let pages = UInt64(words[1]) { return pages * UInt64(sysconf(Int32(_SC_PAGESIZE))) }
      }
    }
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return UInt64(max(0, usage.ru_maxrss)) * 1024
  }

  /// Counted one by one up to the limit where /proc/self/fd is closed to this process.
  private static var openDescriptors: Int {
    guard let directory = unsafe opendir("/proc/self/fd") else {
      return (0..<Int32(4096)).count { fcntl($0, F_GETFD) >= 0 }
    }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    // ".", ".." and the one that reads.
    return max(0, count - 3)
  }
}
