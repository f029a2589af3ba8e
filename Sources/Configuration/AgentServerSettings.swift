/// The agent server behind this one, and how its conversations come to their secrets.
package struct AgentServerSettings: Sendable {
  package enum Address: Sendable, Equatable {
    /// `http://host:port`, nothing behind it.
    case http(String)
    /// The path of a unix socket.
    case unix(String)

    /// As it is written in the configuration.
    package var text: String {
      switch self {
      case .http(let origin): origin
      case .unix(let path): "unix:" + path
      }
    }
  }

  package enum Secrets: String, Sendable, CaseIterable {
    /// A value that a client brings goes along.
    case asSent = "as-sent"
    /// It is kept here, and the agent server looks it up.
    case lookup
  }

  /// One of several.
  package struct Named<Value: Sendable & Equatable>: Sendable, Equatable {
    /// Empty when there is only one and it was given none.
    package let name: String
    package let value: Value

    func text(_ value: (Value) -> String) -> String { name.isEmpty ? value(self.value) : "\(name)=\(value(self.value))" }
  }

  /// nil: there is none.
  package let servers: Setting<[Named<Address>]>?
  /// One without a name is for all of them.
  package let keyFiles: Setting<[Named<String>]>?
  /// Seconds for one exchange.
  package let deadline: Setting<Int>
  /// The unix socket at which nginx reaches the relay for WebSockets.
  package let relaySocket: Setting<String>
  /// WebSockets that may be open at once.
  package let relayLimit: Setting<Int>
  package let secrets: Setting<Secrets>
  /// Where the agent server reaches this one.
  package let lookupURL: Setting<String>
  /// Minutes that a conversation's token lives after its last use.
  package let conversationMinutes: Setting<Int>

  init(_ reader: ValueReader, base: String) throws(ConfigurationError) {
    servers = try reader.readOptional(
      .agentServer, expected: "http://HOST:PORT without a path, or unix:/PATH; or several as NAME=ADDRESS between blanks or commas"
    ) { text in Self.named(text, Self.address) }
    keyFiles = try reader.readOptional(.agentServerKeyFile, expected: "a path, or several as NAME=PATH between blanks or commas") { text in
      Self.named(text) { ValueReader.path($0, base: base) }
    }
    deadline = try reader.read(.agentServerDeadline, expected: "seconds from 1 to 60", default: 60) { text in
      Int(text).flatMap { (1...60).contains($0) ? $0 : nil }
    }
    relaySocket = try reader.read(.relaySocket, expected: "a path", default: base + "/run/sockets.sock") {
      ValueReader.path($0, base: base)
    }
    relayLimit = try reader.read(.relayLimit, expected: "a number from 1 to 100000", default: 1000) { text in
      Int(text).flatMap { (1...100_000).contains($0) ? $0 : nil }
    }
    secrets = try reader.choice(.conversationSecrets, default: .asSent)
    lookupURL = try reader.read(.lookupURL, expected: "an http or https URL", default: "http://127.0.0.1:8099") { text in
      ValueReader.webURL(text).map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
    }
    conversationMinutes = try reader.read(.conversationMinutes, expected: "minutes from 1 to 43200", default: 720) { text in
      Int(text).flatMap { (1...43200).contains($0) ? $0 : nil }
    }
  }

  /// The file with the key of the server of that name.
  package func keyFile(for name: String) -> String? {
    keyFiles?.value.first { $0.name == name || $0.name.isEmpty }?.value
  }

  /// One value without a name, or several with names that differ: small letters, digits and dashes.
  private static func named<Value>(_ text: String, _ value: (String) -> Value?) -> [Named<Value>]? {
    func parts(_ text: Substring) -> (name: Substring, rest: Substring)? {
      let name = text.prefix { "abcdefghijklmnopqrstuvwxyz0123456789-".contains($0) }
      guard !name.isEmpty, name.utf8.count <= 32, text[name.endIndex...].hasPrefix("=") else { return nil }
      return (name, text[name.endIndex...].dropFirst())
    }
    guard parts(text[...]) != nil else { return value(text).map { [Named(name: "", value: $0)] } }
    let list = ValueReader.list(text) { part in
      parts(part).flatMap { name, rest in value(String(rest)).map { Named(name: String(name), value: $0) } }
    }
    guard let list, Set(list.map(\.name)).count == list.count else { return nil }
    return list
  }

  private static func address(_ text: String) -> Address? {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      // nginx ends the path at a colon.
      return path.hasPrefix("/") && path.utf8.count < 108 && path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
        ? .unix(path) : nil
    }
    guard let origin = ValueReader.origin(text[...]), text.hasPrefix("http://"),
      text.utf8.dropFirst(7).allSatisfy({ isOfHost($0) })
    else { return nil }
    return .http(origin)
  }

  /// No name with a password before it, and no query.
  private static func isOfHost(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
    default: false
    }
  }
}
