import SecretMemory
import Testing

@testable import Configuration

/// Loads from texts; the file, when given, stands at /d/coffer.conf.
func load(_ arguments: [String] = ["--dir", "/d"], environment: [String] = [], file: String? = nil) throws -> Configuration {
  try Configuration.load(arguments: arguments, environment: environment.map { Array($0.utf8) }) { path throws(ConfigurationError) in
    path == "/d/coffer.conf" ? file.map { Array($0.utf8) } : nil
  }
}

func failure(_ arguments: [String] = ["--dir", "/d"], environment: [String] = [], file: String? = nil) -> ConfigurationError? {
  do {
    _ = try load(arguments, environment: environment, file: file)
    return nil
  } catch { return error as? ConfigurationError }
}

struct LoadingTests {
  @Test func defaults() throws {
    let configuration = try load()
    #expect(configuration.directory == Setting("/d", from: .flag("--dir")))
    #expect(configuration.file == nil)
    #expect(configuration.socket == Setting("/d/run/cofferd.sock", from: .standard))
    #expect(configuration.controlSocket == Setting("/d/run/control.sock", from: .standard))
    #expect(configuration.socketMode.value == 0o660)
    #expect(configuration.threads.value == 0)
    #expect(configuration.rootKeyFile == Setting("/d/keys/root.key", from: .standard))
    #expect(configuration.wireKey == .file(Setting("/d/keys/wire.key", from: .standard)))
    #expect(configuration.auditExposures.value == .beforeReply)
    #expect(configuration.auditRetentionDays.value == 0)
    #expect(configuration.auditHeadMinutes.value == 60 && configuration.auditHeadWebhook == nil)
    #expect(configuration.allowedUIDs == nil)
    #expect(!configuration.isInsecureOpen.value)
    #expect(configuration.corsOrigins.value.isEmpty)
    #expect(configuration.corsOriginPattern == nil)
    #expect(!configuration.allowsNetworkFilesystem.value)
    #expect(configuration.logFormat.value == .auto)
    #expect(configuration.warnings.isEmpty)
    #expect(configuration.secretVariableNames.isEmpty)
    #expect(try load([]).directory == Setting("/var/lib/coffer", from: .standard))
  }

  /// Each row gives the three places and what must win.
  @Test(
    arguments: [
      (nil, nil, nil, 0, Origin.standard),
      (nil, nil, "threads = 3", 3, .file(path: "/d/coffer.conf", line: 1)),
      (nil, "COFFER_THREADS=2", "threads = 3", 2, .environment("COFFER_THREADS")),
      ("--threads=1", "COFFER_THREADS=2", "threads = 3", 1, .flag("--threads")),
      ("--threads=1", nil, "threads = 3", 1, .flag("--threads")),
    ] as [(String?, String?, String?, Int, Origin)])
  func flagsBeatEnvironmentBeatsFileBeatsDefault(flag: String?, variable: String?, file: String?, value: Int, origin: Origin) throws {
    let configuration = try load(["--dir", "/d"] + (flag.map { [$0] } ?? []), environment: variable.map { [$0] } ?? [], file: file)
    #expect(configuration.threads == Setting(value, from: origin))
  }

  @Test func everySettingCanStandAtEveryPlace() throws {
    let values: [SettingName: String] = [
      .socket: "/s", .socketMode: "0600", .controlSocket: "c.sock", .threads: "4", .rootKeyFile: "/r",
      .rootKeyCommand: "/bin/key of coffer", .wireKeyFile: "/w",
      .auditExposures: "batched", .auditRetentionDays: "365", .auditHeadMinutes: "7",
      .auditHeadWebhook: "http://[::1]:9/heads", .auditHeadWebhookKeyFile: "/k/webhook", .rewrapRows: "77",
      .allowedUIDs: "33, 1000", .insecureOpen: "true",
      .corsOrigins: "https://a.example:8443 http://b.example",
      .corsOriginRegex: "https://[a-z]+[.]example", .dockerHost: "host.docker.internal", .webURL: "https://c.example/x",
      .allowNetworkFilesystem: "true", .logFormat: "text", .logLevel: "error",
      .logRequests: "true",
      .agentServer: "unix:/a.sock", .agentServerKeyFile: "k", .agentServerDeadline: "7", .relaySocket: "/r.sock",
      .relayLimit: "9", .conversationSecrets: "lookup",
      .conversationMinutes: "5", .lookupURL: "http://127.0.0.1:1/",
    ]
    #expect(Set(values.keys) == Set(SettingName.allCases.filter(\.mayStandInFile)), "a setting is missing here")
    let file = values.map { "\($0.rawValue) = \($1)" }.joined(separator: "\n")
    for configuration in [
      try load(file: file), try load(environment: values.map { "\($0.variable)=\($1)" }),
      try load(["--dir", "/d"] + values.flatMap { [$0.flag + "=" + $1] }),
    ] {
      #expect(configuration.socket.value == "/s")
      #expect(configuration.socketMode.value == 0o600)
      #expect(configuration.controlSocket.value == "/d/c.sock")
      #expect(configuration.threads.value == 4)
      #expect(configuration.auditRetentionDays.value == 365)
      #expect(configuration.auditHeadMinutes.value == 7 && configuration.auditHeadWebhook?.value == "http://[::1]:9/heads")
      #expect(configuration.auditHeadWebhookKeyFile?.value == "/k/webhook")
      #expect(configuration.rewrapRows.value == 77)
      #expect(configuration.agentServer.servers?.value.map(\.value) == [.unix("/a.sock")])
      #expect(configuration.agentServer.keyFile(for: "") == "/d/k")
      #expect(configuration.agentServer.deadline.value == 7)
      #expect(configuration.agentServer.secrets.value == .lookup)
      #expect(configuration.agentServer.conversationMinutes.value == 5)
      #expect(configuration.agentServer.lookupURL.value == "http://127.0.0.1:1")
      #expect(configuration.rootKeyFile.value == "/r")
      #expect(configuration.rootKeyCommand?.value == "/bin/key of coffer")
      #expect(
        configuration.wireKey
          == .file(Setting("/w", from: configuration.rootKeyFile.origin == .standard ? .standard : origin(configuration, .wireKeyFile))))
      #expect(configuration.auditExposures.value == .batched)
      #expect(configuration.allowedUIDs?.value == [33, 1000])
      #expect(configuration.isInsecureOpen.value)
      #expect(configuration.corsOrigins.value == ["https://a.example:8443", "http://b.example"])
      #expect(configuration.corsOriginPattern?.value.matches("https://xy.example") == true)
      #expect(configuration.dockerHost?.value == "host.docker.internal")
      #expect(configuration.webURL?.value == "https://c.example/x")
      #expect(configuration.allowsNetworkFilesystem.value)
      #expect(configuration.logFormat.value == .text)
      #expect(configuration.logLevel.value == .error)
      #expect(configuration.logsRequests.value)
    }
  }

  private func origin(_ configuration: Configuration, _ name: SettingName) -> Origin {
    if case .file(let setting) = configuration.wireKey { setting.origin } else { .standard }
  }

  @Test func switchesStandAlone() throws {
    #expect(try load(["--insecure-open", "--dir", "/d"]).isInsecureOpen == Setting(true, from: .flag("--insecure-open")))
    #expect(try load(["--dir", "/d", "--insecure-open"]).warnings == [.open])
  }

  @Test func theCredentialsDirectoryHoldsTheRootKey() throws {
    #expect(try load(environment: ["CREDENTIALS_DIRECTORY=/c"]).rootKeyFile.value == "/c/coffer-root-key")
    #expect(try load(environment: ["CREDENTIALS_DIRECTORY="]).rootKeyFile.value == "/d/keys/root.key")
    #expect(try load(environment: ["CREDENTIALS_DIRECTORY=/c", "COFFER_ROOT_KEY_FILE=/r"]).rootKeyFile.value == "/r")
  }

  @Test func theAgentServersNamesAreUnderstood() throws {
    let configuration = try load(environment: [
      "OH_ALLOW_CORS_ORIGINS_0=https://a.example", "OH_ALLOW_CORS_ORIGINS_1=https://b.example", "OH_ALLOW_CORS_ORIGINS_3=https://d.example",
      "OH_ALLOW_CORS_ORIGIN_REGEX=https://.*[.]c[.]example", "DOCKER_HOST_ADDR=172.17.0.1", "OH_WEB_URL=https://w.example", "OH_OTHER=1",
    ])
    #expect(
      configuration.corsOrigins == Setting(["https://a.example", "https://b.example"], from: .environment("OH_ALLOW_CORS_ORIGINS_0")))
    #expect(configuration.corsOriginPattern?.value.matches("https://x.c.example") == true)
    #expect(configuration.dockerHost?.value == "172.17.0.1")
    #expect(configuration.webURL?.origin == .environment("OH_WEB_URL"))
    #expect(
      try load(environment: ["OH_WEB_URL=https://w.example", "COFFER_WEB_URL=https://v.example"]).webURL?.value == "https://v.example")
  }

  @Test func theFilesFormIsForgiving() throws {
    let file = "# comment\r\n\r\n  threads=2\r\n\tlog.level =  error \n#threads = 5\n"
    let configuration = try load(file: file)
    #expect(configuration.threads.value == 2)
    #expect(configuration.logLevel == Setting(.error, from: .file(path: "/d/coffer.conf", line: 4)))
  }

  @Test func theShippedFileIsAccepted() throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let text = try String(contentsOfFile: "/" + root + "/conf/coffer.conf")
    let configuration = try load(file: text)
    #expect(configuration.file?.value == "/d/coffer.conf")
    // Every setting is shown, as a comment or a line, with a value that is accepted.
    let shown = text.split(separator: "\n").map { $0.drop { $0 == "#" } }.filter { $0.contains(" = ") && $0.first?.isLowercase == true }
    for name in SettingName.allCases where name.mayStandInFile {
      #expect(shown.contains { $0.hasPrefix(name.rawValue + " = ") }, "\(name.rawValue) is not in conf/coffer.conf")
    }
    _ = try load(file: shown.joined(separator: "\n"))
  }
}

extension String {
  /// Without Foundation: the file as text.
  fileprivate init(contentsOfFile path: String) throws {
    guard let bytes = TestFile.bytes(path) else { throw ConfigurationError.fileMissing(path: path) }
    self = String(decoding: bytes, as: UTF8.self)
  }
}
