internal import CShim
internal import Glibc

/// A store's directory as a whole.
package enum StoreDirectory {
  /// Puts the store below `fresh` in the place of the one below `directory`, which is kept below `aside`. Both lie in the same
  /// directory, no process has either, and the caller holds the lock of the old one.
  ///
  /// The two are exchanged in one step: a crash leaves the old store or the new one in place, whole. Where the file system
  /// cannot do that, two steps do it, and a crash between them leaves both whole under their other names.
  package static func replace(_ directory: String, by fresh: String, keeping aside: String) throws(StoreError) {
    let parent = String(directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)])
    try NewFile.syncDirectory(fresh)
    if unsafe access(directory, F_OK) != 0 {
      try move(fresh, to: directory)
    } else if unsafe shim_exchange(fresh, directory) == 0 {
      try NewFile.syncDirectory(parent)
      try move(fresh, to: aside)
    } else {
      guard [EINVAL, ENOSYS, EXDEV].contains(errno) else { throw .unavailable(.ioError) }
      try move(directory, to: aside)
      try move(fresh, to: directory)
    }
    try NewFile.syncDirectory(parent)
  }

  private static func move(_ old: String, to new: String) throws(StoreError) {
    guard unsafe rename(old, new) == 0 else { throw .unavailable(.ioError) }
  }

  /// Removes a store that was made for a moment, with its directory.
  package static func remove(_ directory: String) {
    NewFile.remove(directory + "/" + StoreFile.name)
    unsafe unlink(SQLiteStore.lockPath(directory))
    unsafe rmdir(directory)
  }
}
