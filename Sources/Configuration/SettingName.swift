/// Every setting, under its name in the file. The flag is `--name` and the variable `COFFER_NAME`, with
/// dots and dashes as the form asks; precedence is flag, environment, file, default.
package enum SettingName: String, Sendable, CaseIterable {
  case dir
  case config
  case socket
  case socketMode = "socket-mode"
  case controlSocket = "control-socket"
  case threads
  case rootKeyFile = "root-key-file"
  case rootKeyCommand = "root-key-command"
  case wireKeyFile = "wire-key-file"
  case auditExposures = "audit.exposures"
  case auditRetentionDays = "audit.retention-days"
  case auditHeadMinutes = "audit.head-minutes"
  case auditHeadWebhook = "audit.head-webhook"
  case auditHeadWebhookKeyFile = "audit.head-webhook-key-file"
  case rewrapRows = "rewrap-rows"
  case allowedUIDs = "allowed-uids"
  case insecureOpen = "insecure-open"
  case corsOrigins = "cors-origins"
  case corsOriginRegex = "cors-origin-regex"
  case dockerHost = "docker-host"
  case webURL = "web-url"
  case allowNetworkFilesystem = "allow-network-filesystem"
  case agentServer = "agent-server"
  case agentServerKeyFile = "agent-server-key-file"
  case agentServerDeadline = "agent-server-deadline"
  case relaySocket = "relay-socket"
  case relayLimit = "relay-limit"
  case conversationSecrets = "conversation-secrets"
  case conversationMinutes = "conversation-minutes"
  case lookupURL = "lookup-url"
  case logFormat = "log.format"
  case logLevel = "log.level"
  case logRequests = "log.requests"

  /// `--audit-exposures`
  package var flag: String { "--" + String(rawValue.map { $0 == "." ? "-" : $0 }) }

  /// `COFFER_AUDIT_EXPOSURES`
  package var variable: String { "COFFER_" + rawValue.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined() }

  /// What an OpenHands agent server calls the same thing; read after our own variable.
  var agentServerVariable: String? {
    switch self {
    case .corsOriginRegex: "OH_ALLOW_CORS_ORIGIN_REGEX"
    case .dockerHost: "DOCKER_HOST_ADDR"
    case .webURL: "OH_WEB_URL"
    case .dir, .config, .socket, .socketMode, .controlSocket, .threads, .rootKeyFile, .rootKeyCommand, .wireKeyFile, .auditExposures,
      .auditRetentionDays, .auditHeadMinutes, .auditHeadWebhook, .auditHeadWebhookKeyFile, .rewrapRows, .allowedUIDs, .insecureOpen,
      .corsOrigins, .allowNetworkFilesystem, .agentServer, .agentServerKeyFile, .agentServerDeadline, .relaySocket, .relayLimit,
      .conversationSecrets, .conversationMinutes, .lookupURL,
      .logFormat, .logLevel, .logRequests:
      nil
    }
  }

  /// True for flags that mean `true` when they stand alone.
  var isSwitch: Bool { self == .insecureOpen || self == .allowNetworkFilesystem || self == .logRequests }

  /// The directory and the file are known before the file is read.
  var mayStandInFile: Bool { self != .dir && self != .config }

  static let flags = Dictionary(uniqueKeysWithValues: allCases.map { ($0.flag, $0) })
  static let variables = Dictionary(uniqueKeysWithValues: allCases.map { ($0.variable, $0) })

  /// Variables with our prefix that are no settings: where the command line finds the shipped nginx files, the pipe
  /// into which a successor says that it serves, and what an agent's commands read.
  static let otherVariables: Set<String> = [
    "COFFER_SHARE", "COFFER_READY_FD", "COFFER_URL", "COFFER_AGENT_KEY", "COFFER_AGENT_KEY_FILE", "COFFER_CA_FILE",
  ]
}
