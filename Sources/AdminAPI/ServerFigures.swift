package import HTTPMessages

/// What the process counts and measures of itself, as plain numbers. Whoever puts the process together fills it in.
package struct ServerFigures: Sendable {
  package struct Connections: Sendable {
    package let accepted: UInt64
    package let open: UInt64
    /// Requests that never became one, connections closed for what is no request, and those closed for their uid.
    package let refusedRequests: UInt64
    package let refusedRecords: UInt64
    package let refusedPeers: UInt64
    /// Times no descriptor was left.
    package let exhaustions: UInt64

    package init(
      accepted: UInt64, open: UInt64, refusedRequests: UInt64, refusedRecords: UInt64, refusedPeers: UInt64, exhaustions: UInt64
    ) {
      self.accepted = accepted
      self.open = open
      self.refusedRequests = refusedRequests
      self.refusedRecords = refusedRecords
      self.refusedPeers = refusedPeers
      self.exhaustions = exhaustions
    }
  }

  /// WebSockets to the agent server.
  package struct Sockets: Sendable {
    package let open: UInt64
    package let opened: UInt64
    package let refused: UInt64

    package init(open: UInt64, opened: UInt64, refused: UInt64) {
      self.open = open
      self.opened = opened
      self.refused = refused
    }
  }

  package struct Store: Sendable {
    package let writes: UInt64
    /// Commits by their number of writes: one number for each of `batchBounds`.
    package let batches: [UInt64]
    package let batchBounds: [Int]
    package let waitingWrites: Int
    package let auditEntries: UInt64
    package let databaseBytes: UInt64
    package let logBytes: UInt64
    package let diskBytes: UInt64
    package let freeDiskBytes: UInt64

    package init(
      writes: UInt64, batches: [UInt64], batchBounds: [Int], waitingWrites: Int, auditEntries: UInt64, databaseBytes: UInt64,
      logBytes: UInt64, diskBytes: UInt64, freeDiskBytes: UInt64
    ) {
      self.writes = writes
      self.batches = batches
      self.batchBounds = batchBounds
      self.waitingWrites = waitingWrites
      self.auditEntries = auditEntries
      self.databaseBytes = databaseBytes
      self.logBytes = logBytes
      self.diskBytes = diskBytes
      self.freeDiskBytes = freeDiskBytes
    }
  }

  package struct Process: Sendable {
    package let cpuMicroseconds: UInt64
    package let residentBytes: UInt64
    package let openDescriptors: Int
    package let maximumDescriptors: UInt64
    /// Log lines that were not written: more than may be written in a second, or faster than they were taken.
    package let leftOutLogLines: UInt64

    package init(
      cpuMicroseconds: UInt64, residentBytes: UInt64, openDescriptors: Int, maximumDescriptors: UInt64, leftOutLogLines: UInt64
    ) {
      self.cpuMicroseconds = cpuMicroseconds
      self.residentBytes = residentBytes
      self.openDescriptors = openDescriptors
      self.maximumDescriptors = maximumDescriptors
      self.leftOutLogLines = leftOutLogLines
    }
  }

  package let requests: RequestFigures
  package let connections: Connections
  package let sockets: Sockets
  package let store: Store
  package let process: Process

  package init(requests: RequestFigures, connections: Connections, sockets: Sockets, store: Store, process: Process) {
    self.requests = requests
    self.connections = connections
    self.sockets = sockets
    self.store = store
    self.process = process
  }
}
