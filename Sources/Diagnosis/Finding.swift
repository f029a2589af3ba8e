/// One thing that `coffer doctor` has looked at.
package struct Finding: Sendable, Equatable {
  package enum Kind: String, Sendable { case good = "ok", warning, wrong }

  /// What was looked at. Programs read these words: they stay.
  package enum Code: String, Sendable, CaseIterable {
    case configuration
    case keyFile = "key-file"
    case storeDirectory = "store-directory"
    case storeVersion = "store-version"
    case fileSystem = "file-system"
    case disk
    case clock
    case descriptors
    case server
    case canary
    case agentServer = "agent-server"
    case nginxProgram = "nginx-program"
    case nginxConfiguration = "nginx-configuration"
    case nginxHeaders = "nginx-headers"
    case nginxBodies = "nginx-bodies"
    case nginxRepeats = "nginx-repeats"
    case nginxLog = "nginx-log"
    case socketDirectory = "socket-directory"
    case socketRights = "socket-rights"
    case certificate
  }

  package let code: Code
  package let kind: Kind
  /// What is so and, unless it is good, what to do: lower case, no full stop.
  package let text: String

  package init(_ code: Code, _ kind: Kind, _ text: String) {
    self.code = code
    self.kind = kind
    self.text = text
  }
}
