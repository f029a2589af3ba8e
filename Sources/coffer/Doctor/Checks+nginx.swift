internal import Configuration
internal import Diagnosis
internal import Glibc
internal import HTTPMessages

/// nginx's files, as far as they can be read.
struct NginxFacts {
  let path: String
  /// What stopped the reading.
  private(set) var problem: String?
  let routes: [NginxRoute]
  /// The account of nginx's workers; nil when it is not known.
  let worker: SocketAccess.Account?

  init(_ settings: Configuration, named: String?) {
    let ours = settings.directory.value + "/run/nginx.conf"
    let path = named ?? (unsafe access(ours, F_OK) == 0 ? ours : "/etc/nginx/nginx.conf")
    var found: NginxConfiguration?
    do throws(NginxConfiguration.Problem) {
      found = try NginxConfiguration(path: path, read: Folder.read, expand: Self.expand)
    } catch {
      switch error {
      case .unreadable(let path): problem = "\(path) cannot be read by this account; name nginx's main file with --nginx-conf"
      case .malformed(let path): problem = "\(path) is no nginx configuration; look with: nginx -t"
      case .tooDeep(let path): problem = "\(path) is included by itself; look with: nginx -t"
      }
    }
    self.path = path
    routes = found?.routes(to: settings.socket.value) ?? []
    worker = found.flatMap { Self.worker($0, path) }
  }

  private static func expand(_ pattern: String) -> [String] {
    var found = unsafe glob_t()
    defer { unsafe globfree(&found) }
    guard unsafe glob(pattern, 0, nil, &found) == 0 else { return [] }
    return unsafe (0..<Int(found.gl_pathc)).compactMap { index in unsafe found.gl_pathv[index].map { unsafe String(cString: $0) } }
  }

  /// Who the workers are: as the files say; else, when the file is no other's than root's, as Debian's and the plain build
  /// have it; else whoever owns the file, since without root nginx does not change accounts.
  private static func worker(_ configuration: NginxConfiguration, _ path: String) -> SocketAccess.Account? {
    if let user = configuration.user { return Accounts.named(user) }
    if let owner = FileFacts(path)?.uid, owner != 0 { return Accounts.numbered(owner) }
    return Accounts.named("www-data") ?? Accounts.named("nobody")
  }
}

/// The accounts of this machine.
enum Accounts {
  static func named(_ name: String) -> SocketAccess.Account? { unsafe account(getpwnam(name)) }
  static func numbered(_ uid: UInt32) -> SocketAccess.Account? { unsafe account(getpwuid(uid)) }

  private static func account(_ entry: UnsafeMutablePointer<passwd>?) -> SocketAccess.Account? {
    guard let entry = unsafe entry else { return nil }
    let (uid, gid, name) = unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid, String(cString: entry.pointee.pw_name))
    var groups = [gid_t](repeating: 0, count: 1024)
    var count = Int32(groups.count)
    let known = unsafe getgrouplist(name, gid, &groups, &count) >= 0 ? Set(groups.prefix(Int(count))) : [gid]
    let group = unsafe getgrgid(gid).map { unsafe String(cString: $0.pointee.gr_name) } ?? String(gid)
    return SocketAccess.Account(name: name, uid: uid, groups: known, group: group)
  }
}

extension Checks {
  static func nginx(_ facts: NginxFacts, _ settings: Configuration) -> [Finding] {
    var findings: [Finding] = []
    if !["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].contains(where: { unsafe access($0 + "/nginx", X_OK) == 0 }) {
      findings.append(Finding(.nginxProgram, .warning, "nginx is not found; `coffer up` needs it: install the package nginx"))
    }
    if let problem = facts.problem { return findings + [Finding(.nginxConfiguration, .warning, problem)] }
    if facts.routes.isEmpty {
      findings.append(
        Finding(
          .nginxConfiguration, .warning,
          "\(facts.path) has no fastcgi_pass that leads to unix:\(settings.socket.value); include the files of nginx/, or name the file that "
            + "does with --nginx-conf"))
    }
    let wanted = RequestDecoder.parameterNames
    return findings + facts.routes.flatMap { $0.judge(wanted: wanted, maximumBody: UInt64(RequestDecoder.maximumBody)) }
  }

  /// The way of nginx's workers to the socket. Without a file that leads there nobody knows who they are.
  static func socket(_ facts: NginxFacts, _ settings: Configuration) -> [Finding] {
    var findings: [Finding] = []
    if let control = part(settings.controlSocket.value), let finding = SocketAccess.control(control) { findings.append(finding) }
    guard !facts.routes.isEmpty, let worker = facts.worker else { return findings }
    let path = settings.socket.value
    var directories: [SocketAccess.Part] = []
    var walked = ""
    for name: Substring in [""] + path.split(separator: "/").dropLast() {
      walked += name.isEmpty ? "" : "/\(name)"
      if let directory = part(walked.isEmpty ? "/" : walked) { directories.append(directory) }
    }
    return findings
      + SocketAccess.judge(
        directories: directories, socket: part(path), path: path, worker: worker, allowedUIDs: settings.allowedUIDs?.value)
  }

  private static func part(_ path: String) -> SocketAccess.Part? {
    FileFacts(path).map { SocketAccess.Part(path: path, mode: $0.mode, uid: $0.uid, gid: $0.gid) }
  }

  /// The certificates that nginx shows, and the one that `coffer up` made.
  static func certificates(_ facts: NginxFacts, _ settings: Configuration) -> [Finding] {
    let ours = settings.directory.value + "/tls/certificate.pem"
    var paths = facts.routes.flatMap(\.certificates)
    if paths.isEmpty, facts.routes.isEmpty, unsafe access(ours, F_OK) == 0 { paths = [ours] }
    var seen: Set<String> = []
    return paths.filter { seen.insert($0).inserted }.map { path in
      let printed = try? Child.output("openssl", ["x509", "-in", path, "-noout", "-enddate"])
      let end = printed.flatMap { $0.code == 0 ? Certificate.end($0.text) : nil }
      return Certificate.judge(path, end: end, now: Moment.milliseconds() / 1000, isOurs: path == ours)
    }
  }
}
