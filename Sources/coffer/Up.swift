internal import ArgumentParser
internal import CShim
internal import Configuration
internal import FastCGIClient
internal import Glibc

struct Up: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run nginx and cofferd in the foreground until SIGTERM.",
    discussion: "A directory that does not exist is initialised first, and its keys are shown.")

  @OptionGroup var directory: DirectoryOption
  @Option(help: "Serve TLS on ADDRESS:PORT.") var https = "127.0.0.1:8443"
  @Option(help: "Serve plain HTTP on ADDRESS:PORT of this machine instead.") var http: String?
  @Option(help: "Certificate chain (PEM); a self-signed one is made when none is given.") var certificate: String?
  @Option(help: "The certificate's key (PEM).") var key: String?
  @Option(help: "An OpenHands agent server that conversations go to: http://HOST:PORT or unix:/PATH.") var agentServer: String?
  @Option(help: "A file of mode 0600 with that server's own session key.") var agentServerKeyFile: String?
  @Option(help: "With --https: where that server looks up secrets over plain HTTP, on ADDRESS:PORT of this machine.")
  var lookups = "127.0.0.1:8099"
  @Flag(help: "Ask no key of anyone who reaches the address. Only with --http.") var insecureOpen = false

  func validate() throws {
    if insecureOpen, http == nil { throw ValidationError("--insecure-open goes with --http on a loopback address only") }
    if let http, !Self.isLoopback(http) { throw ValidationError("--http takes a loopback address: plain HTTP must not leave the machine") }
    if !Self.isLoopback(lookups) { throw ValidationError("--lookups takes a loopback address") }
    if agentServer == nil, agentServerKeyFile != nil { throw ValidationError("--agent-server-key-file goes with --agent-server") }
    if (certificate == nil) != (key == nil) { throw ValidationError("--certificate and --key go together") }
  }

  static func isLoopback(_ address: String) -> Bool {
    address.hasPrefix("127.") || address.hasPrefix("localhost:") || address.hasPrefix("[::1]:")
  }

  func run() throws {
    let environment = EnvironmentBlock.entries()
    EnvironmentBlock.scrub(Self.secretNames(environment))
    let directory = Folder.absolute(self.directory.path)
    // Before a store is made whose keys would be shown to nobody.
    let shared = try NginxFiles.shippedFiles()
    if NewStore.exists(in: directory), try AdminClient.isServed(directory) {
      throw Trouble("\(directory) is served already; a new program takes over with: coffer restart --dir \(directory)")
    }
    let shown = NewStore.exists(in: directory) ? nil : try NewStore.make(in: directory)
    do { try serve(directory, shared, environment, shown) } catch {
      // A start that failed must not take the keys with it: they are shown once. An exit is not a failure of the start.
      if let shown, !(error is ExitCode) {
        print(try shown.text(directory: directory))
        fflush(nil)
      }
      throw error
    }
  }

  private func serve(_ directory: String, _ shared: String, _ environment: [[UInt8]], _ shown: ShownKeys?) throws {
    var files = NginxFiles(directory: directory, listener: try listener(directory), shared: shared)
    // Over plain HTTP the agent server reaches this very address; TLS with a self-signed certificate it would refuse.
    if agentServer != nil, http == nil { files.lookups = lookups }
    let main = try files.write()
    var supervisor = try Supervisor(directory: directory)
    try supervisor.startResponder(isOpen: insecureOpen, options: agentServerOptions, environment: environment)
    try supervisor.startNginx(main)
    print("Coffer serves \(url)", "(stop with Ctrl-C)")
    if let shown {
      print(try shown.text(directory: directory))
    } else {
      print("Keys are shown once, at the first start. Another one: coffer key create --dir \(directory)")
    }
    fflush(nil)
    throw ExitCode(supervisor.superviseToTheEnd())
  }

  private var agentServerOptions: [String] {
    guard let agentServer else { return [] }
    let key = agentServerKeyFile.map { ["--agent-server-key-file", Folder.absolute($0)] } ?? []
    return ["--agent-server", agentServer, "--lookup-url", "http://" + (http ?? lookups)] + key
  }

  private var url: String { http.map { "http://\($0)" } ?? "https://\(https)" }

  private func listener(_ directory: String) throws -> NginxFiles.Listener {
    if let http { return .http(http) }
    if let certificate, let key { return .https(https, certificate: certificate, key: key) }
    let (certificate, key) = try SelfSigned.certificate(in: directory + "/tls")
    return .https(https, certificate: certificate, key: key)
  }

  /// Variables whose values must not stay in this process's environment block.
  private static func secretNames(_ environment: [[UInt8]]) -> [String] {
    environment.map { String(decoding: $0.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self) }
      .filter { $0.hasPrefix("OH_SECRET_KEY") || $0.hasPrefix("OH_SESSION_API_KEYS") || $0 == "SESSION_API_KEY" }
  }
}

/// A certificate for trying out, made by `openssl` once and kept.
enum SelfSigned {
  static func certificate(in directory: String) throws -> (certificate: String, key: String) {
    let certificate = directory + "/certificate.pem"
    let key = directory + "/key.pem"
    if unsafe access(certificate, R_OK) == 0, unsafe access(key, R_OK) == 0 { return (certificate, key) }
    try Folder.make(directory, mode: 0o700)
    let code = try Child.start(
      "openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "825", "-subj", "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-keyout", key, "-out", certificate, "-batch",
      ], environment: [Array("PATH=/usr/bin:/bin".utf8)]
    ).wait()
    guard code == 0 else { throw Trouble("openssl could not make a certificate (exit \(code))") }
    unsafe chmod(key, 0o600)
    return (certificate, key)
  }
}

extension Folder {
  static func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    var buffer = [CChar](repeating: 0, count: 4096)
    guard unsafe getcwd(&buffer, buffer.count) != nil else { return path }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
  }
}
