internal import CShim
internal import Glibc

/// The lock that lets one process write: `flock` on a file of its own, so that no descriptor of the database is ever
/// opened and closed beside SQLite's (which would drop SQLite's own locks). The kernel releases it when the process ends.
@safe package final class StoreLock: Sendable {
  private let descriptor: Int32

  /// - Parameter waits: whether to block until the other process lets go.
  init(path: String, waits: Bool) throws(StoreError) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .unavailable(errno == ENOSPC ? .diskFull : .readOnly) }
    var result = flock(descriptor, waits ? LOCK_EX : LOCK_EX | LOCK_NB)
    while result != 0, errno == EINTR, waits { result = flock(descriptor, LOCK_EX) }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw code == EWOULDBLOCK ? .locked : .unavailable(.ioError)
    }
    // Last of all: of an object that has everything, a throwing init runs deinit, which would close what another thread has opened since.
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}

extension StoreLock {
  /// The lock of the store below `directory`, for as long as the value lives: no other process opens the store meanwhile.
  package static func take(_ directory: String) throws(StoreError) -> StoreLock {
    try StoreLock(path: SQLiteStore.lockPath(directory), waits: false)
  }
}

/// Which file systems are refused (WAL needs memory that all processes share, and locks that hold), and how full one is.
package enum FileSystem {
  /// statfs(2) magic numbers of network file systems.
  private static let network: Set<UInt32> = [
    0x6969,  // NFS
    0x517B,  // SMB
    0xFE53_4D42,  // SMB2
    0xFF53_4D42,  // CIFS
    0x5346_414F,  // AFS
    0x00C3_6400,  // Ceph
    0x0102_1997,  // 9P
    0x7375_7245,  // Coda
    0x0BD0_0BD0,  // Lustre
    0x4750_4653,  // GPFS
  ]

  /// - Parameter type: a magic number of statfs(2).
  package static func isNetwork(type: UInt32) -> Bool { network.contains(type) }
  package static func isNetwork(_ path: String) -> Bool { isNetwork(type: unsafe shim_filesystem_type(path)) }

  /// Bytes.
  package struct Space: Sendable, Equatable {
    package let total: UInt64
    /// What is left for those who are not root.
    package let free: UInt64
  }

  /// nil when the path cannot be looked at.
  package static func space(_ path: String) -> Space? {
    var facts = statvfs()
    guard unsafe statvfs(path, &facts) == 0 else { return nil }
    let block = UInt64(facts.f_frsize)
    return Space(total: UInt64(facts.f_blocks) * block, free: UInt64(facts.f_bavail) * block)
  }
}
