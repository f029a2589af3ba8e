internal import ArgumentParser
internal import Configuration
internal import FastCGIClient
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import StrictJSON

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what is wrong and what to do; exit 1 when something is.")

  @OptionGroup var directory: DirectoryOption

  func run() throws {
    let configuration = try AdminClient.settings(Folder.absolute(directory.path))
    var findings = Checks.files(configuration) + Checks.machine() + configuration.warnings.map { Finding(.warning, $0.message) }
    findings += Checks.server(configuration)
    for finding in findings { print("\(finding.kind.rawValue): \(finding.text)") }
    if findings.contains(where: { $0.kind == .wrong }) { throw ExitCode.failure }
  }
}

struct Finding {
  enum Kind: String { case good = "ok", warning, wrong }
  let kind: Kind
  let text: String
  init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }
}

/// Each check changes nothing and names what to do.
enum Checks {
  static func files(_ configuration: Configuration) -> [Finding] {
    var findings: [Finding] = []
    var paths = [configuration.rootKeyFile.value]
    if case .file(let path) = configuration.wireKey { paths.append(path.value) }
    for path in paths {
      do {
        _ = try KeyFile.read(path)
        findings.append(Finding(.good, "\(path) is there and closed to other users"))
      } catch { findings.append(Finding(.wrong, error.message)) }
    }
    let store = configuration.directory.value + "/store"
    var facts = stat()
    if unsafe stat(store, &facts) != 0 {
      findings.append(Finding(.wrong, "\(store) does not exist; run: coffer init --dir \(configuration.directory.value)"))
    } else if facts.st_mode & 0o077 != 0 {
      findings.append(Finding(.wrong, "\(store) is open to other users; run: chmod 0700 \(store)"))
    } else {
      findings.append(Finding(.good, "\(store) is closed to other users"))
    }
    return findings
  }

  static func machine() -> [Finding] {
    var findings: [Finding] = []
    // 2025-01-01: before that, this program did not exist.
    if Moment.milliseconds() < 1_735_689_600_000 {
      findings.append(Finding(.wrong, "the clock stands before 2025; keys and audit times depend on it: set it"))
    }
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_max < 4096 {
      findings.append(Finding(.warning, "at most \(limit.rlim_max) open files are allowed; raise the limit to 4096 or more"))
    }
    if !["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].contains(where: { unsafe access($0 + "/nginx", X_OK) == 0 }) {
      findings.append(Finding(.warning, "nginx is not found; `coffer up` needs it: install the package nginx"))
    }
    return findings
  }

  /// The running server, or, when none runs, whether the root key opens the store.
  static func server(_ configuration: Configuration) -> [Finding] {
    let runs = FastCGIClient(path: configuration.controlSocket.value, timeout: 5).isReachable()
    do {
      let status = try AdminClient.send(.get, "/admin/v1/status", directory: configuration.directory.value)["data"]?.object
      let version = status?["version"]?.string?.text ?? ""
      if !runs { return [Finding(.good, "the root key opens the store; no cofferd runs")] }
      if !FastCGIClient(path: configuration.socket.value, timeout: 5).isReachable() {
        return [Finding(.wrong, "cofferd runs, but \(configuration.socket.value) cannot be reached; run: coffer restart")]
      }
      return [Finding(.good, "cofferd \(version) runs and answers on both sockets")]
    } catch { return [Finding(.wrong, (error as? Trouble)?.description ?? "the store cannot be used")] }
  }
}
