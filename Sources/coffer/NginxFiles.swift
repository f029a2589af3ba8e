internal import Glibc

/// The nginx that `coffer up` runs: the shipped files as they are, but for two paths, under a main file of its own.
struct NginxFiles {
  enum Listener {
    /// ADDRESS:PORT with certificate and key.
    case https(String, certificate: String, key: String)
    case http(String)
  }

  let directory: String
  let listener: Listener
  let shared: String
  /// ADDRESS:PORT of plain HTTP on loopback for the lookups of conversations; nil when there is none.
  var lookups: String?

  static func shippedFiles() throws -> String {
    guard let found = Shipped.directory("nginx", holding: "coffer-server.conf") else {
      throw Trouble("the nginx files are not found; name their parent directory in COFFER_SHARE")
    }
    return found
  }

  /// Writes DIR/run/nginx.conf and what it includes; returns the main file's path.
  func write() throws -> String {
    let run = directory + "/run"
    for part in ["body", "fastcgi", "proxy", "scgi", "uwsgi"] { try Folder.make("\(run)/nginx-\(part)", mode: 0o700) }
    guard let http = Folder.read(shared + "/coffer-http.conf") else { throw Trouble("\(shared)/coffer-http.conf cannot be read") }
    let ours = try [
      ("unix:/run/coffer/cofferd.sock", "unix:\(run)/cofferd.sock"), ("unix:/run/coffer/sockets.sock", "unix:\(run)/sockets.sock"),
      ("/usr/local/share/coffer/nginx/web", shared + "/web"),
    ].reduce(http) { text, change in
      guard let range = text.range(of: change.0) else { throw Trouble("\(shared)/coffer-http.conf does not name \(change.0)") }
      return text.replacingCharacters(in: range, with: change.1)
    }
    try Folder.write(ours, to: run + "/coffer-http.conf", mode: 0o600)
    let path = run + "/nginx.conf"
    try Folder.write(main, to: path, mode: 0o600)
    return path
  }

  var main: String {
    let run = directory + "/run"
    // As root nginx would change to another account, which could not reach the sockets of this directory.
    let user = geteuid() == 0 ? "user root;\n" : ""
    return """
      \(user)daemon off;
      worker_processes auto;
      worker_rlimit_nofile \(descriptors);
      pid \(run)/nginx.pid;
      error_log stderr warn;
      events { worker_connections \(min(16_384, descriptors / 2)); }
      http {
        client_body_temp_path \(run)/nginx-body;
        fastcgi_temp_path \(run)/nginx-fastcgi;
        proxy_temp_path \(run)/nginx-proxy;
        scgi_temp_path \(run)/nginx-scgi;
        uwsgi_temp_path \(run)/nginx-uwsgi;
        default_type application/octet-stream;
        include \(run)/coffer-http.conf;
        access_log \(run)/access.log coffer;
        server {
      \(listen)
          include \(shared)/coffer-server.conf;
        }\(lookupServer)
      }

      """
  }

  /// Two for each connection, and room, as far as this process may go: nginx would complain of more at each start.
  private var descriptors: Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return Self.enoughDescriptors }
    return Int(clamping: min(limit.rlim_max, rlim_t(Self.enoughDescriptors)))
  }
  private static let enoughDescriptors = 40_000

  private var lookupServer: String {
    guard let lookups else { return "" }
    return """

        server {
          listen \(lookups);
          server_name "";
          include \(shared)/coffer-server.conf;
          if ($uri !~ "^/(?:api/settings/secrets/[A-Za-z][A-Za-z0-9_]*|api/conversations/[0-9a-f-]+/secrets/[0-9]+|[.]coffer-refusal)$") {
            return 404;
          }
        }
      """
  }

  private var listen: String {
    switch listener {
    case .http(let address): return "    listen \(address);\n    server_name _;"
    case .https(let address, let certificate, let key):
      return """
            listen \(address) ssl http2;
            server_name _;
            ssl_certificate \(certificate);
            ssl_certificate_key \(key);
            ssl_protocols TLSv1.2 TLSv1.3;
            ssl_session_cache shared:coffer:10m;
            ssl_session_tickets off;
        """
    }
  }
}

/// The files that come with the program: beside its build, or installed.
enum Shipped {
  /// The directory `name` among the shipped files that holds `file`.
  static func directory(_ name: String, holding file: String) -> String? {
    var parents: [String] = []
    if let given = unsafe getenv("COFFER_SHARE") { parents.append(unsafe String(cString: given)) }
    if let program = Program.path {
      let build = Program.parent(program)
      for up in ["/../../..", "/../..", "/../share/coffer"] { parents.append(build + up) }
    }
    parents.append("/usr/share/coffer")
    return parents.map { $0 + "/" + name }.first { unsafe access($0 + "/" + file, R_OK) == 0 }
  }
}

enum Program {
  /// This program's file.
  static var path: String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  static func parent(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return String(path[..<slash])
  }

  /// `cofferd` beside this program, or in the path.
  static var cofferd: String {
    if let path {
      let sibling = parent(path) + "/cofferd"
      if unsafe access(sibling, X_OK) == 0 { return sibling }
    }
    return "cofferd"
  }
}

extension String {
  /// The first place of `text`, compared by bytes.
  fileprivate func range(of text: String) -> Range<String.Index>? {
    let bytes = Array(utf8)
    let wanted = Array(text.utf8)
    guard bytes.count >= wanted.count else { return nil }
    for start in 0...(bytes.count - wanted.count) where bytes[start..<(start + wanted.count)].elementsEqual(wanted) {
      let lower = utf8.index(utf8.startIndex, offsetBy: start)
      return lower..<utf8.index(lower, offsetBy: wanted.count)
    }
    return nil
  }

  fileprivate func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
    String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
  }
}
