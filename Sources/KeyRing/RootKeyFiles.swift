internal import Glibc

/// The files of a change of the root key: the next key waits beside the one in use, and the one before stays beside it
/// afterwards, as `NAME.retired-ID`, for the backups that it seals.
package struct RootKeyFiles: Sendable {
  /// The file that the key is read from; nil when it comes from where Coffer cannot write, a credential or a program.
  package let current: String?
  /// Where the next key waits.
  package let next: String

  /// - Parameters:
  ///   - file: where the key is read from.
  ///   - isOurs: that is a file beside which Coffer may make others.
  ///   - keys: the directory for the next key otherwise.
  package init(file: String, isOurs: Bool, keys: String) {
    current = isOurs ? file : nil
    next = (isOurs ? file : keys + "/root.key") + Self.nextSuffix
  }

  private static let nextSuffix = ".next"
  private static let infix = ".retired-"

  /// The key that waits; nil when none does.
  package func waiting() throws(RootKeySource.Failure) -> RootKey? {
    do throws(RootKeySource.Failure) { return try RootKeySource.file(next).read() } catch {
      if case .file(.missing) = error { return nil }
      throw error
    }
  }

  /// The key that waits, made when there is none. Durable before anything is wrapped with it.
  package func prepare() throws(RootKeySource.Failure) -> RootKey {
    if let key = try waiting() { return key }
    guard let fresh = try? RootKey.generate() else { throw .file(.system(path: next, errno: EIO)) }
    do throws(KeyFile.Failure) { try KeyFile.create(next, fresh.text) } catch { throw .file(error) }
    return fresh
  }

  /// Puts the waiting key in the place of the one with the id `old`, which is kept. At no moment is there none.
  ///
  /// - Returns: false when the key does not come from a file of ours: whoever manages it must put the waiting key there.
  package func install(over old: String) throws(KeyFile.Failure) -> Bool {
    guard let current else { return false }
    let retired = retiredPath(old)
    guard unsafe link(current, retired) == 0 || errno == EEXIST else { throw .system(path: retired, errno: errno) }
    guard unsafe rename(next, current) == 0 else { throw .system(path: current, errno: errno) }
    try KeyFile.syncDirectory(of: current)
    return true
  }

  /// Where the key with that id is kept after `install`.
  package func retiredPath(_ id: String) -> String { (current ?? next) + Self.infix + id }
}
