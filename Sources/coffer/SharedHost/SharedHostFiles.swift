internal import Glibc

/// What a folder of the web server holds so that all below it is Coffer: an `.htaccess` and the program to start.
struct SharedHostFiles {
  let directory: String
  let folder: String

  /// Refuses a store below the folder, whose files would be one mistake away from being served.
  init(directory: String, folder: String) throws {
    guard NewStore.exists(in: directory) else {
      throw Trouble("\(directory) holds no store; run: coffer init --dir \(directory)")
    }
    let store = try Self.resolved(directory)
    self.folder = try Self.resolved(folder)
    guard !(store + "/").hasPrefix(self.folder + "/") else {
      throw Trouble("\(directory) lies below \(folder), which the web server shows to everybody: keep the store elsewhere")
    }
    self.directory = store
  }

  private static func resolved(_ path: String) throws -> String {
    guard let found = unsafe realpath(path, nil) else { throw Trouble("\(path): \(unsafe String(cString: strerror(errno)))") }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }

  func write() throws {
    guard let program = Program.path else { throw Trouble("this program's own path is not known") }
    let rules = folder + "/.htaccess"
    guard unsafe access(rules, F_OK) != 0 || Folder.read(rules) == Self.rules else {
      throw Trouble("\(rules) is there already and says something else: use a folder, or a subdomain, of Coffer's own")
    }
    try Folder.write(script(program), to: folder + "/coffer.fcgi", mode: 0o755)
    // suexec runs nothing that others may change, whatever the umask.
    unsafe chmod(folder + "/coffer.fcgi", 0o755)
    try Folder.write(Self.rules, to: rules, mode: 0o644)
    unsafe chmod(rules, 0o644)
  }

  func script(_ program: String) -> String {
    """
    #!/bin/sh
    exec \(Self.quoted(program)) fcgi --dir \(Self.quoted(directory))

    """
  }

  private static func quoted(_ word: String) -> String {
    "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  static let rules = """
    # Coffer behind a web server that starts FastCGI programs itself; made by `coffer fcgi --install`.
    Options +ExecCGI -Indexes -MultiViews
    AddHandler fcgid-script .fcgi
    # Apache keeps Authorization from programs unless told; X-Session-API-Key passes anyway.
    CGIPassAuth On
    # An answer is whole or it is not there.
    <IfModule mod_headers.c>
    RequestHeader unset Range
    </IfModule>
    ErrorDocument 403 "Coffer answers over HTTPS only."

    RewriteEngine On
    # A key must not cross the network in the clear. The second line is for hosts that end TLS in front of Apache.
    RewriteCond %{HTTPS} !=on
    RewriteCond %{HTTP:X-Forwarded-Proto} !=https
    RewriteRule ^ - [F]
    # Bodies are read as they are.
    RewriteCond %{HTTP:Content-Encoding} !^(?:identity)?$
    RewriteRule ^ - [R=415,L]
    # Everything is Coffer's: no file of this folder is ever served.
    RewriteRule ^ coffer.fcgi [END]

    """
}
