package import SecretMemory

/// What `cofferd` runs with: flags before environment before file before defaults.
package struct Configuration: Sendable {
  package enum ExposureAudit: String, Sendable, CaseIterable { case beforeReply = "before-reply", batched }
  package enum LogFormat: String, Sendable, CaseIterable {
    /// Text on a terminal, JSON elsewhere.
    case auto
    case json, text
  }
  package enum LogLevel: String, Sendable, CaseIterable { case error, warning, info }

  package static let defaultDirectory = "/var/lib/coffer"
  package static let fileName = "coffer.conf"

  /// D: the store, its keys and its sockets.
  package let directory: Setting<String>
  /// The file that was read; nil when there is none.
  package let file: Setting<String>?
  /// The socket nginx connects to.
  package let socket: Setting<String>
  /// Its mode, at most 0660: the socket is what keeps other accounts out.
  package let socketMode: Setting<UInt32>
  package let controlSocket: Setting<String>
  /// Loop threads; 0 means one per processor.
  package let threads: Setting<Int>
  package let rootKeyFile: Setting<String>
  /// Whether that is a file beside which Coffer may make others: no credential, which is read-only, and no program.
  package let managesRootKeyFile: Bool
  /// A program that prints the root key, with its arguments; in the place of `rootKeyFile`.
  package let rootKeyCommand: Setting<String>?
  package let wireKey: WireKeySource
  /// The file of the wire key, read when the environment gives none; beside it lie the retired ones.
  package let wireKeyFile: Setting<String>
  /// Keys that open encrypted values and seal none.
  package let retiredWireKeys: [SecretBytes]
  /// Session keys of the environment: the default tenant with every right.
  package let sessionKeys: [SecretBytes]
  package let auditExposures: Setting<ExposureAudit>
  /// Older audit entries are cut once a day; 0 keeps them for ever.
  package let auditRetentionDays: Setting<Int>
  /// Minutes between two times that the audit heads are told; 0 for never.
  package let auditHeadMinutes: Setting<Int>
  /// Where they are posted to, besides the log.
  package let auditHeadWebhook: Setting<String>?
  /// A file with the bearer token for it.
  package let auditHeadWebhookKeyFile: Setting<String>?
  /// Rows a second that a re-wrap after a key rotation changes at most.
  package let rewrapRows: Setting<Int>
  /// Uids that may connect to the responder's socket; nil lets in whom the socket's mode lets in.
  package let allowedUIDs: Setting<[UInt32]>?
  /// Only for listeners that no other machine reaches; whoever binds one checks that.
  package let isInsecureOpen: Setting<Bool>
  package let corsOrigins: Setting<[String]>
  package let corsOriginPattern: Setting<OriginPattern>?
  package let dockerHost: Setting<String>?
  package let webURL: Setting<String>?
  package let allowsNetworkFilesystem: Setting<Bool>
  package let agentServer: AgentServerSettings
  package let logFormat: Setting<LogFormat>
  package let logLevel: Setting<LogLevel>
  /// One line for each request, and not only for those that failed or whose key was refused.
  package let logsRequests: Setting<Bool>

  package let warnings: [ConfigurationWarning]
  /// Variables that held keys: erase them from the environment block before anything else runs.
  package let secretVariableNames: [String]

  /// Reads every source. `arguments` come without the program's name, environment entries as `NAME=value` in bytes;
  /// `readFile` gives the bytes of a file, or nil when it does not exist.
  package static func load(
    arguments: [String], environment entries: [[UInt8]], readFile: (String) throws(ConfigurationError) -> [UInt8]?
  ) throws(ConfigurationError) -> Configuration {
    let environment = Environment(entries: entries)
    var values = try environment.settings()
    values.merge(try Arguments.parse(arguments)) { _, flag in flag }
    let reader = ValueReader(values: values)
    let directory = try reader.read(.dir, expected: "a path", default: defaultDirectory) { ValueReader.path($0, base: "") }
    let named = try reader.readOptional(.config, expected: "a path") { ValueReader.path($0, base: "") }
    let path = named ?? Setting("\(directory.value)/\(fileName)", from: .standard)
    let bytes = try readFile(path.value)
    if bytes == nil, named != nil { throw .fileMissing(path: path.value) }
    if let bytes { values.merge(try ConfigurationFile.parse(bytes, path: path.value)) { stronger, _ in stronger } }
    return try Configuration(
      directory: directory, file: bytes == nil ? nil : path, reader: ValueReader(values: values), environment: environment)
  }

  private init(directory: Setting<String>, file: Setting<String>?, reader: ValueReader, environment: Environment)
    throws(ConfigurationError)
  {
    let base = directory.value
    func path(_ name: SettingName, _ standard: String) throws(ConfigurationError) -> Setting<String> {
      try reader.read(name, expected: "a path", default: standard) { ValueReader.path($0, base: base) }
    }
    self.directory = directory
    self.file = file
    socket = try path(.socket, base + "/run/cofferd.sock")
    controlSocket = try path(.controlSocket, base + "/run/control.sock")
    socketMode = try reader.read(.socketMode, expected: "an octal mode of at most 0660", default: 0o660) { text in
      UInt32(text, radix: 8).flatMap { $0 & ~0o660 == 0 ? $0 : nil }
    }
    threads = try reader.read(.threads, expected: "a number from 0 to 256", default: 0) { text in
      Int(text).flatMap { (0...256).contains($0) ? $0 : nil }
    }
    let credentials = environment.plain["CREDENTIALS_DIRECTORY"].flatMap { $0.isEmpty ? nil : $0 }
    rootKeyFile = try path(.rootKeyFile, credentials.map { $0 + "/coffer-root-key" } ?? base + "/keys/root.key")
    rootKeyCommand = try reader.readOptional(.rootKeyCommand, expected: "the absolute path of a program, with its arguments") { text in
      text.utf8.first == UInt8(ascii: "/") && !text.utf8.contains(0) ? text : nil
    }
    managesRootKeyFile = rootKeyCommand == nil && !(credentials.map(rootKeyFile.value.hasPrefix) ?? false)
    auditExposures = try reader.choice(.auditExposures, default: .beforeReply)
    auditRetentionDays = try reader.read(.auditRetentionDays, expected: "a number from 0 to 36500", default: 0) { text in
      Int(text).flatMap { (0...36_500).contains($0) ? $0 : nil }
    }
    auditHeadMinutes = try reader.read(.auditHeadMinutes, expected: "a number from 0 to 10080", default: 60) { text in
      Int(text).flatMap { (0...10_080).contains($0) ? $0 : nil }
    }
    auditHeadWebhook = try reader.readOptional(
      .auditHeadWebhook, expected: "an https URL, or an http one of this machine", ValueReader.ownOrSafeURL)
    auditHeadWebhookKeyFile = try reader.readOptional(.auditHeadWebhookKeyFile, expected: "a path") { ValueReader.path($0, base: base) }
    rewrapRows = try reader.read(.rewrapRows, expected: "a number from 1 to 1000000", default: 1000) { text in
      Int(text).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
    }
    allowedUIDs = try reader.readOptional(.allowedUIDs, expected: "user ids between blanks or commas") { text in
      ValueReader.list(text) { UInt32($0) }
    }
    isInsecureOpen = try reader.flag(.insecureOpen)
    corsOrigins = try reader.read(.corsOrigins, expected: "origins (scheme://host:port) between blanks or commas", default: []) { text in
      ValueReader.list(text, ValueReader.origin)
    }
    corsOriginPattern = try reader.readOptional(
      .corsOriginRegex, expected: "a POSIX extended regular expression without back references; write [0-9] for a digit"
    ) { OriginPattern($0) }
    dockerHost = try reader.readOptional(.dockerHost, expected: "a host name or address") { text in
      text.utf8.count <= 255 && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") } ? text : nil
    }
    webURL = try reader.readOptional(.webURL, expected: "an http or https URL", ValueReader.webURL)
    allowsNetworkFilesystem = try reader.flag(.allowNetworkFilesystem)
    agentServer = try AgentServerSettings(reader, base: base)
    logFormat = try reader.choice(.logFormat, default: .auto)
    logLevel = try reader.choice(.logLevel, default: .info)
    logsRequests = try reader.flag(.logRequests)

    let keys = try KeyVariables(environment)
    wireKeyFile = try path(.wireKeyFile, base + "/keys/wire.key")
    wireKey = keys.secretKey.map { .given($0.key, variable: $0.variable) } ?? .file(wireKeyFile)
    retiredWireKeys = keys.retired
    sessionKeys = keys.sessionKeys
    warnings = keys.warnings + (isInsecureOpen.value ? [.open] : [])
    secretVariableNames = environment.secrets.keys.sorted()
  }
}
