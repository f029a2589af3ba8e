internal import ArgumentParser
internal import Glibc
internal import HTTPMessages
internal import StrictJSON

struct Key: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, list, replace and end API keys.", subcommands: [Create.self, List.self, Rotate.self, Revoke.self])

  enum Level: String, ExpressibleByArgument, CaseIterable { case masked, frontend, backend, lookup }
  enum Kind: String, ExpressibleByArgument, CaseIterable { case session, admin }
  enum Role: String, ExpressibleByArgument, CaseIterable { case owner, `operator`, auditor }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key and print it once.",
      discussion: """
        Levels of session keys: masked (redacted reads), frontend (redacted and encrypted reads, writes), backend (plaintext \
        too), lookup (values of named secrets only). Standard output holds the key alone.
        """)

    @OptionGroup var directory: DirectoryOption
    @Option(help: "session (X-Session-API-Key) or admin (Authorization: Bearer).") var kind = Kind.session
    @Option(help: "What a session key may do; frontend unless said otherwise.") var level: Level?
    @Option(help: "What an admin key may do: owner (everything), operator (structure, keys, restore), auditor (reads); owner without it.")
    var role: Role?
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Option(help: "A name to know the key by.") var name = "made by coffer key create"
    @Option(help: "Lifetime: a number with s, m, h or d, as in 90d. Without it the key does not expire.") var expires: String?
    @Flag(help: "Print one JSON object with the key and its id.") var json = false

    func validate() throws {
      if kind == .admin, level != nil { throw ValidationError("an admin key has no level") }
      if kind == .session, role != nil { throw ValidationError("a session key has no role") }
      if let expires, Self.seconds(expires) == nil { throw ValidationError("--expires takes a number with s, m, h or d, at most 3650d") }
      try TenantName.check(tenant)
    }

    func run() throws {
      var body: JSONObject = JSONObject()
      body["kind"] = .string(JSONString(kind.rawValue))
      if kind == .session { body["level"] = .string(JSONString((level ?? .frontend).rawValue)) }
      if kind == .admin { body["role"] = .string(JSONString((role ?? .owner).rawValue)) }
      body["name"] = .string(JSONString(name))
      if let seconds = expires.flatMap(Self.seconds) { body["expiresIn"] = .number(JSONNumber(seconds)) }
      let answer = try AdminClient.send(
        .post, "/admin/v1/tenants/\(tenant)/keys", body: .object(body), directory: Folder.absolute(directory.path))
      guard let made = answer["data"]?.object, let key = made["key"]?.string?.text else { throw Trouble("the answer holds no key") }
      print(json ? String(decoding: JSONValue.object(made).serialized(), as: UTF8.self) : key)
      if !json { Notice.print("key \(made["id"]?.string?.text ?? "") is shown once and kept nowhere") }
    }

    /// Seconds of `90d`, at most ten years; nil for other text.
    static func seconds(_ text: String) -> Int64? {
      let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
      guard let unit = text.last.flatMap({ units[$0] }), text.dropLast().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = Int64(text.dropLast()), number > 0, number <= 315_360_000 / unit
      else { return nil }
      return number * unit
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List keys: ids and rights, never the keys themselves.")

    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant.") var tenant = "default"
    @Flag(help: "Print one JSON object a line.") var json = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      try AdminList.all("/admin/v1/tenants/\(tenant)/keys", directory: Folder.absolute(directory.path)) { key in
        print(json ? String(decoding: JSONValue.object(key).serialized(), as: UTF8.self) : Self.line(key))
      }
    }

    private static func line(_ key: JSONObject) -> String {
      func text(_ name: JSONString) -> String? { key[name]?.string?.text }
      let state =
        text("revokedAt").map { "revoked \($0)" } ?? text("expiresAt").map { "expires \($0)" } ?? "does not expire"
      return [text("id") ?? "", text("kind") ?? "", text("level") ?? text("role") ?? "", state, text("name") ?? ""].joined(separator: "  ")
    }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End a key: its next request is refused.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "The key's public id: the 16 characters between its underscores.") var id: String

    func validate() throws { try Key.check(id) }

    func run() throws {
      _ = try AdminClient.send(.delete, "/admin/v1/keys/\(id)", directory: Folder.absolute(directory.path))
      print("key \(id) is revoked")
    }
  }
}

extension Key {
  /// A key's id goes into a path.
  static func check(_ id: String) throws {
    guard id.utf8.count == 16, id.utf8.allSatisfy(TenantName.isLetterOrDigit) else {
      throw ValidationError("an id has 16 letters and digits; never put a whole key into arguments")
    }
  }
}

/// A tenant's id goes into a path: letters, digits and underscores only.
enum TenantName {
  static func check(_ text: String) throws {
    guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "_") }) else {
      throw ValidationError("--tenant takes a tenant's id, or default")
    }
  }

  static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }
}

/// A word beside the result, on standard error.
enum Notice {
  static func print(_ text: String) { write(text + "\n") }

  static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
