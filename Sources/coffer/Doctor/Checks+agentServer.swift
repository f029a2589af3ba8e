internal import Configuration
internal import Diagnosis
internal import HTTPClient
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

extension Checks {
  /// Seconds that the agent server has for each of two answers.
  private static let patience = 5

  /// The agent servers behind this one: whether each is there and takes its key. Nothing when none is configured.
  static func agentServer(_ configuration: Configuration) -> [Finding] {
    configuration.agentServer.servers?.value.map { finding($0.name, $0.value, configuration.agentServer) } ?? []
  }

  private static func finding(_ name: String, _ address: AgentServerSettings.Address, _ settings: AgentServerSettings) -> Finding {
    var key: SecretBytes?
    if let file = settings.keyFile(for: name) {
      do throws(KeyFile.Failure) { key = try KeyFile.read(file).withoutLineEnd } catch { return Finding(.keyFile, .wrong, error.message) }
    }
    var options = HTTPClient.Options(deadline: patience, connectDeadline: patience, maximumBody: 64 << 10)
    var origin = "http://localhost"
    switch address {
    case .http(let url): origin = url
    case .unix(let path): options.unixSocket = path
    }
    let shown = name.isEmpty ? address.text : "\(name) at \(address.text)"
    return answer(HTTPClient(options), origin, key).judged(shown, hasKey: key != nil)
  }

  private static func answer(_ client: HTTPClient, _ origin: String, _ key: SecretBytes?) -> AgentServerAnswer {
    do throws(HTTPFailure) {
      let fields = key.map { [(name: "X-Session-API-Key", value: $0)] } ?? []
      let reply = try client.send(HTTPRequest("GET", origin + "/api/conversations/count", secretFields: fields))
      let info = try? client.send(HTTPRequest("GET", origin + "/server_info")).body.withBytes { bytes in
        try? JSONValue.parse(bytes, limits: JSONLimits(bytes: 64 << 10, depth: 16, members: 1000))
      }
      return .status(reply.status, version: info?.object?["version"]?.string?.text)
    } catch {
      switch error {
      case .timedOut: return .silent(seconds: patience)
      case .cutOff, .tooLarge: return .garbled
      case .unreachable, .notTrusted, .invalidRequest, .unusable: return .unreachable
      }
    }
  }
}
