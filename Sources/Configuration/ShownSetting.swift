/// A setting as people are shown it.
package struct ShownSetting: Sendable, Equatable {
  package let name: String
  /// nil where nothing is set and there is no default. Of a secret it says that there is one, and no more.
  package let value: String?
  package let origin: String
}

extension Configuration {
  /// Every setting with its effective value and where it comes from, then the secrets of the environment.
  package var shown: [ShownSetting] { SettingName.allCases.map(shown) + shownSecrets }

  private func shown(_ name: SettingName) -> ShownSetting {
    func row<Value>(_ setting: Setting<Value>?, _ text: (Value) -> String) -> ShownSetting {
      ShownSetting(name: name.rawValue, value: setting.map { text($0.value) }, origin: (setting?.origin ?? .standard).description)
    }
    return switch name {
    case .dir: row(directory) { $0 }
    case .config: row(file) { $0 }
    case .socket: row(socket) { $0 }
    case .socketMode: row(socketMode) { "0" + String($0, radix: 8) }
    case .controlSocket: row(controlSocket) { $0 }
    case .threads: row(threads) { String($0) }
    case .rootKeyFile: row(rootKeyFile) { $0 }
    case .rootKeyCommand: row(rootKeyCommand) { $0 }
    case .wireKeyFile: row(wireKeyFile) { $0 }
    case .auditExposures: row(auditExposures) { $0.rawValue }
    case .auditRetentionDays: row(auditRetentionDays) { String($0) }
    case .auditHeadMinutes: row(auditHeadMinutes) { String($0) }
    case .auditHeadWebhook: row(auditHeadWebhook) { $0 }
    case .auditHeadWebhookKeyFile: row(auditHeadWebhookKeyFile) { $0 }
    case .rewrapRows: row(rewrapRows) { String($0) }
    case .allowedUIDs: row(allowedUIDs) { $0.map { String($0) }.joined(separator: ", ") }
    case .insecureOpen: row(isInsecureOpen) { String($0) }
    case .corsOrigins: row(corsOrigins) { $0.joined(separator: ", ") }
    case .corsOriginRegex: row(corsOriginPattern) { $0.source }
    case .dockerHost: row(dockerHost) { $0 }
    case .webURL: row(webURL) { $0 }
    case .allowNetworkFilesystem: row(allowsNetworkFilesystem) { String($0) }
    case .agentServer: row(agentServer.servers) { list in list.map { $0.text(\.text) }.joined(separator: ", ") }
    case .agentServerKeyFile: row(agentServer.keyFiles) { list in list.map { $0.text(\.self) }.joined(separator: ", ") }
    case .agentServerDeadline: row(agentServer.deadline) { String($0) }
    case .relaySocket: row(agentServer.relaySocket) { $0 }
    case .relayLimit: row(agentServer.relayLimit) { String($0) }
    case .conversationSecrets: row(agentServer.secrets) { $0.rawValue }
    case .conversationMinutes: row(agentServer.conversationMinutes) { String($0) }
    case .lookupURL: row(agentServer.lookupURL) { $0 }
    case .logFormat: row(logFormat) { $0.rawValue }
    case .logLevel: row(logLevel) { $0.rawValue }
    case .logRequests: row(logsRequests) { String($0) }
    }
  }

  /// Names of variables and whether they hold something: nothing else of a key is anybody's to see.
  private var shownSecrets: [ShownSetting] {
    func row(_ name: String, _ isSet: Bool, _ origin: String) -> ShownSetting {
      ShownSetting(name: name, value: isSet ? "<set>" : "<not set>", origin: isSet ? origin : Origin.standard.description)
    }
    var wireVariable = "OH_SECRET_KEY"
    var hasWireKey = false
    if case .given(_, let variable) = wireKey { (wireVariable, hasWireKey) = (variable, true) }
    let session = secretVariableNames.filter { $0.contains("SESSION_API_KEY") }
    let retired = secretVariableNames.filter { $0.hasPrefix("OH_SECRET_KEYS_RETIRED") }
    return [
      row("wire key", hasWireKey, wireVariable), row("retired wire keys", !retiredWireKeys.isEmpty, retired.joined(separator: ", ")),
      row("session keys", !sessionKeys.isEmpty, session.joined(separator: ", ")),
    ]
  }
}
