internal import StrictJSON
internal import Synchronization

/// What `/server_info` tells (spec section 1.5). Clients gate on `version`, so it is the implemented version of the
/// upstream API; our own version stands in `build_git_ref`.
package final class ServerInfo: Sendable {
  /// The OpenHands agent-server version whose API this is.
  package static let apiVersion = "1.43.1"

  private let started: Int64
  private let lastRequest: Atomic<Int64>
  private let release: String

  /// - Parameters:
  ///   - release: Coffer's own version.
  ///   - started: Unix milliseconds.
  package init(release: String, started: Int64) {
    self.release = release
    self.started = started
    lastRequest = Atomic(started)
  }

  /// Notes a request of the API proper, which ends an idle period.
  func noteRequest(at now: Int64) { lastRequest.store(now, ordering: .relaxed) }

  func json(at now: Int64) -> JSONValue {
    let last = lastRequest.load(ordering: .relaxed)
    return [
      "uptime": .number(Self.seconds(now - started)), "idle_time": .number(Self.seconds(now - last)),
      "title": "OpenHands Agent Server", "version": .string(JSONString(Self.apiVersion)),
      "sdk_version": .string(JSONString(Self.apiVersion)), "tools_version": .string(JSONString(Self.apiVersion)),
      "workspace_version": "unknown", "build_git_sha": "unknown", "build_git_ref": .string(JSONString("coffer-" + release)),
      "python_version": "none", "usable_tools": [], "runtime_idle_timeout_seconds": nil, "capabilities": [],
      "max_foreground_terminal_timeout_seconds": nil, "docs": "/docs", "redoc": "/redoc",
    ]
  }

  /// Whole seconds, printed with a fraction as the recorded server does.
  private static func seconds(_ milliseconds: Int64) -> JSONNumber {
    JSONNumber(validated: Array("\(max(0, milliseconds / 1000)).0".utf8))
  }
}
