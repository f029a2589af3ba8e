internal import Configuration
internal import Diagnosis
internal import Glibc
internal import KeyRing
internal import Store

extension Checks {
  /// The keys and the store on the disk.
  static func files(_ configuration: Configuration) -> [Finding] {
    var findings: [Finding] = []
    // A program that prints the key is the operator's own, and may ask a person: it is not run here.
    var paths = configuration.rootKeyCommand == nil ? [configuration.rootKeyFile.value] : []
    if case .file(let path) = configuration.wireKey { paths.append(path.value) }
    for path in paths {
      do {
        _ = try KeyFile.read(path)
        findings.append(Finding(.keyFile, .good, "\(path) is there and closed to other users"))
      } catch { findings.append(Finding(.keyFile, .wrong, error.storeMessage)) }
    }
    let directory = configuration.directory.value
    let store = directory + "/store"
    let mode = FileFacts(store)?.mode
    findings.append(StorePlace.directory(store, mode: mode, parent: directory))
    guard mode != nil else { return findings }
    findings.append(
      StorePlace.fileSystem(store, isNetwork: FileSystem.isNetwork(store), isAllowed: configuration.allowsNetworkFilesystem.value))
    do {
      if let finding = StorePlace.version(try SQLiteStore.schemaVersion(below: store)) { findings.append(finding) }
    } catch { findings.append(StorePlace.broken) }
    return findings
  }
}

/// What stat(2) says of a file.
struct FileFacts {
  let mode: UInt32
  let uid: UInt32
  let gid: UInt32

  /// nil when there is none, or none that this account may look at.
  init?(_ path: String) {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    (mode, uid, gid) = (facts.st_mode, facts.st_uid, facts.st_gid)
  }
}
