internal import Configuration
internal import Diagnosis
internal import FastCGIClient
internal import Glibc
internal import HTTPMessages
internal import Store
internal import StrictJSON

extension Checks {
  /// The clock, the disk and the descriptors.
  static func machine(_ configuration: Configuration) -> [Finding] {
    let directory = configuration.directory.value
    var findings = [Machine.clock(now: Moment.milliseconds(), newestEntry: newestAuditEntry(directory))]
    if let space = FileSystem.space(directory + "/store") ?? FileSystem.space(directory) {
      findings.append(Machine.disk(directory, total: space.total, free: space.free))
    }
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      let serving = ResponderPID.read(directory).flatMap { Folder.read("/proc/\($0)/limits") }.flatMap(Machine.openFiles)
      findings.append(Machine.descriptors(limit: UInt64(limit.rlim_max), serving: serving))
    }
    return findings
  }

  /// The time of the default tenant's newest entry, in Unix milliseconds; nil when it cannot be had, which other checks tell.
  private static func newestAuditEntry(_ directory: String) -> Int64? {
    guard unsafe access(directory + "/store/coffer.db", F_OK) == 0 else { return nil }
    let path = "/admin/v1/tenants/default/audit"
    guard let head = try? AdminClient.send(.get, path + "/head", directory: directory),
      let sequence = head["data"]?.object?["sequence"]?.number?.int64, sequence > 0,
      let page = try? AdminClient.send(.get, path + "?limit=1&after=\(sequence - 1)", directory: directory),
      let text = page["data"]?.array?.first?.object?["at"]?.string?.text
    else { return nil }
    return CivilTime.milliseconds(text)
  }

  /// The running server, or, when none runs, whether the root key opens the store.
  static func server(_ configuration: Configuration) -> [Finding] {
    let runs = FastCGIClient(path: configuration.controlSocket.value, timeout: 5).isReachable()
    do {
      let status = try AdminClient.send(.get, "/admin/v1/status", directory: configuration.directory.value)["data"]?.object
      let version = status?["version"]?.string?.text ?? ""
      if !runs { return [Finding(.server, .good, "the root key opens the store; no cofferd runs")] + canaries(status) }
      if !FastCGIClient(path: configuration.socket.value, timeout: 5).isReachable() {
        return [Finding(.server, .wrong, "cofferd runs, but \(configuration.socket.value) cannot be reached; run: coffer restart")]
      }
      if status?["sealed"]?.bool == true {
        return [Finding(.server, .wrong, "cofferd is sealed and answers 503; when it shall serve again: coffer unseal")]
      }
      return [Finding(.server, .good, "cofferd \(version) runs and answers on both sockets")] + canaries(status)
    } catch { return [Finding(.server, .wrong, (error as? Trouble)?.description ?? "the store cannot be used")] }
  }

  /// Marking a canary anew begins its count at zero, and ends this.
  private static func canaries(_ status: JSONObject?) -> [Finding] {
    guard let count = status?["canariesRead"]?.number?.int64, count > 0 else { return [] }
    let last = status?["lastCanaryAlertAt"]?.string?.text ?? ""
    let secrets = count == 1 ? "a canary secret was" : "\(count) canary secrets were"
    return [Finding(.canary, .warning, "\(secrets) read, last at \(last); see: coffer canary list, and canary.alert in coffer audit list")]
  }
}
