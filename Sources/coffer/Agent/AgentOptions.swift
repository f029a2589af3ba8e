internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import HTTPClient
internal import KeyRing
internal import SecretMemory

/// Where the server is and with which key an agent speaks to it.
struct AgentOptions: ParsableArguments {
  @Option(help: "The server's address, as in https://secrets.example.org. Default: COFFER_URL.") var url: String?
  @Option(help: "A file (mode 0600 or 0400) with the agent key. Default: COFFER_AGENT_KEY_FILE, or the key itself in COFFER_AGENT_KEY.")
  var keyFile: String?
  @Option(name: .customLong("cacert"), help: "Certificates to trust instead of the system's (PEM). Default: COFFER_CA_FILE.")
  var certificates: String?

  /// A client with the key, which is taken out of this process's environment block on the way.
  func client() throws -> AgentClient {
    let environment = EnvironmentBlock.entries()
    EnvironmentBlock.scrub(EnvironmentBlock.secretNames(in: environment))
    guard let base = url ?? Self.text("COFFER_URL", environment) else {
      throw AgentFailure(.usage, "no server is named; set COFFER_URL or give --url")
    }
    return AgentClient(
      base: try Self.checked(base), key: try key(environment),
      trustedCertificates: certificates ?? Self.text("COFFER_CA_FILE", environment))
  }

  /// A key travels over TLS, or does not leave the machine.
  private static func checked(_ url: String) throws -> String {
    let address = url.hasSuffix("/") ? String(url.dropLast()) : url
    if address.hasPrefix("https://") { return address }
    guard address.hasPrefix("http://"), Up.isLoopback(String(address.dropFirst(7)) + ":") else {
      throw AgentFailure(.usage, "the address must begin with https://; http:// is for 127.0.0.1 and localhost only")
    }
    return address
  }

  private func key(_ environment: [[UInt8]]) throws -> SecretBytes {
    if keyFile == nil, let entry = Self.entry("COFFER_AGENT_KEY", environment), !entry.isEmpty { return SecretBytes(copying: Array(entry)) }
    guard let path = keyFile ?? Self.text("COFFER_AGENT_KEY_FILE", environment) else {
      throw AgentFailure(.notAuthenticated, "no key is given; set COFFER_AGENT_KEY_FILE, COFFER_AGENT_KEY or --key-file")
    }
    do { return try KeyFile.read(path).withoutLineEnd } catch { throw AgentFailure(.notAuthenticated, error.message) }
  }

  private static func text(_ name: String, _ environment: [[UInt8]]) -> String? {
    entry(name, environment).map { String(decoding: $0, as: UTF8.self) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func entry(_ name: String, _ environment: [[UInt8]]) -> ArraySlice<UInt8>? {
    let prefix = Array((name + "=").utf8)
    return environment.first { $0.starts(with: prefix) }?.dropFirst(prefix.count)
  }
}

/// Why an agent's command failed, with the exit code that scripts read (scoped spec, section 10).
struct AgentFailure: Error {
  enum Kind: Int32 {
    case usage = 2
    case notAuthenticated = 3
    case forbidden = 4
    case notFound = 5
    case conflict = 6
    case rateLimited = 7
    case server = 8
  }

  let kind: Kind
  let text: String
  /// The server's code, such as `scope_forbidden`; empty when the failure is not the server's.
  let code: String
  /// What the server says is there, when a precondition failed.
  let entityTag: String?

  init(_ kind: Kind, _ text: String, code: String = "", entityTag: String? = nil) {
    self.kind = kind
    self.text = text
    self.code = code
    self.entityTag = entityTag
  }
}

/// A command that speaks to a server as an agent.
protocol AgentCommand: ParsableCommand {
  var server: AgentOptions { get }
  func run(_ client: AgentClient) throws
}

extension AgentCommand {
  func run() throws {
    do {
      try run(server.client())
    } catch let failure as AgentFailure {
      Notice.print("Error: " + (failure.code.isEmpty ? "" : failure.code + ": ") + failure.text)
      throw ExitCode(failure.kind.rawValue)
    }
  }
}
