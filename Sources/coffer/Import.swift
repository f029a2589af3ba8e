internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import HTTPMessages
internal import KeyRing
internal import SecretMemory
internal import StrictJSON

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Take over what another server keeps.", subcommands: [OpenHands.self])

  struct OpenHands: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "openhands", abstract: "Import the persistence folder of an OpenHands agent server.",
      discussion: """
        Reads settings, secrets, profiles, agent profiles, provider connections and workspaces. First says what it would do; \
        then imports everything in one step, or nothing. The folder is not changed, and the import can be repeated: what is \
        there already is replaced. Values sealed by the agent server are opened with the key it had: OH_SECRET_KEY, \
        SESSION_API_KEY or OH_SESSION_API_KEYS_0 in the environment, or a file named by --key-file.
        """)

    @Argument(help: "The folder (OH_PERSISTENCE_DIR of the agent server, often ~/.openhands).") var folder: String
    @OptionGroup var directory: DirectoryOption
    @Option(help: "Id of the tenant to import into.") var tenant = "default"
    @Option(help: "A file with the agent server's secret key.") var keyFile: String?
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Flag(help: "Import although an agent server writes in the folder.") var force = false
    @Flag(help: "Leave out values that no key opens, instead of stopping.") var skipUnopened = false

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let path = Folder.absolute(folder)
      if !force, let lock = OpenHandsFiles.heldLock(path) {
        throw Trouble("an agent server holds \(lock); stop it, or import with --force what is there")
      }
      let bundle = try OpenHandsFiles(path).bundle
      let keys = try secretKeys()
      let plan = try send(bundle, keys, isDryRun: true)
      Self.show(plan, "found")
      let isBlocked = !Self.texts(plan["unreadable"]).isEmpty || (!skipUnopened && !Self.texts(plan["unopened"]).isEmpty)
      if isBlocked {
        throw Trouble("nothing was imported: name the right key (--key-file), mend what cannot be read, or leave it out (--skip-unopened)")
      }
      guard !dryRun else { return }
      let report = try send(bundle, keys, isDryRun: false)
      guard report["done"]?.bool == true else { throw Trouble("nothing was imported") }
      print("imported")
    }

    private func send(_ bundle: JSONObject, _ keys: [JSONString], isDryRun: Bool) throws -> JSONObject {
      let body: JSONValue = [
        "folder": .object(bundle), "keys": .array(keys.map(JSONValue.string)), "skipUnopened": .bool(skipUnopened),
        "dryRun": .bool(isDryRun),
      ]
      let answer = try AdminClient.send(
        .post, "/admin/v1/tenants/\(tenant)/import/openhands", body: body, directory: Folder.absolute(directory.path))
      guard let report = answer["data"]?.object else { throw Trouble("the answer holds no report") }
      return report
    }

    /// What may have sealed the folder: the file's key, then the environment's.
    private func secretKeys() throws -> [JSONString] {
      var keys: [JSONString] = []
      if let keyFile {
        let text = SecretBytes(copying: try Folder.contents(of: keyFile, limit: 4096)).withoutLineEnd
        keys.append(text.withBytes { bytes in JSONString(utf8: unsafe bytes.withUnsafeBytes { unsafe Array($0) }) })
      }
      for name in ["OH_SECRET_KEY", "SESSION_API_KEY", "OH_SESSION_API_KEYS_0"] {
        let prefix = Array((name + "=").utf8)
        for entry in EnvironmentBlock.entries() where entry.starts(with: prefix) && entry.count > prefix.count {
          keys.append(JSONString(utf8: Array(entry.dropFirst(prefix.count))))
        }
      }
      return keys
    }

    private static func texts(_ value: JSONValue?) -> [String] { value?.array?.compactMap { $0.string?.text } ?? [] }

    private static func show(_ report: JSONObject, _ word: String) {
      print(
        "\(word): settings \(report["settings"]?.bool == true ? "yes" : "no"), workspaces \(report["workspaces"]?.bool == true ? "yes" : "no")"
      )
      for (name, member) in [("secrets", "secrets"), ("profiles", "profiles"), ("agent profiles", "agentProfiles")]
        as [(String, JSONString)]
      {
        let list = texts(report[member])
        print("\(word): \(list.count) \(name)\(list.isEmpty ? "" : ": " + list.joined(separator: ", "))")
      }
      print("\(word): \(report["connections"]?.number?.int64 ?? 0) provider connections")
      for name in texts(report["emptySecrets"]) { print("without a value: \(name)") }
      for place in texts(report["unopened"]) { print("does not open: \(place)") }
      for place in texts(report["unreadable"]) { print("cannot be read: \(place)") }
    }
  }
}

/// The files of an agent server's folder (settings spec, section 11.1), each read once.
struct OpenHandsFiles {
  let bundle: JSONObject

  init(_ folder: String) throws {
    guard unsafe access(folder, R_OK | X_OK) == 0 else { throw Trouble("\(folder) cannot be read") }
    var bundle = JSONObject()
    let single: [(JSONString, String)] = [
      ("settings", "/settings.json"), ("secrets", "/secrets.json"),
      ("connections", "/provider-connections/provider_connections.json"), ("workspaces", "/workspaces.json"),
    ]
    for (name, path) in single { bundle[name] = try Self.file(folder + path) }
    for (name, path) in [("profiles", "/profiles"), ("agent_profiles", "/agent-profiles")] as [(JSONString, String)] {
      var members = JSONObject()
      for file in try Self.names(folder + path) {
        members[JSONString(String(file.dropLast(5)))] = try Self.file(folder + path + "/" + file)
      }
      bundle[name] = .object(members)
    }
    guard bundle["settings"] != nil || bundle["secrets"] != nil else {
      throw Trouble("\(folder) holds neither settings.json nor secrets.json; name the agent server's OH_PERSISTENCE_DIR")
    }
    self.bundle = bundle
  }

  /// A lock file that another process holds (settings spec, section 11.1). It is let go of at once.
  static func heldLock(_ folder: String) -> String? {
    ["settings", "secrets", "profiles", "provider-connections", "agent-profiles", "workspaces"].map { "\(folder)/.\($0).lock" }.first {
      let descriptor = unsafe open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { return false }
      defer { close(descriptor) }
      return flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
  }

  private static func file(_ path: String) throws -> JSONValue? {
    guard unsafe access(path, F_OK) == 0 else { return nil }
    let bytes = try Folder.contents(of: path, limit: 64 << 20)
    let limits = JSONLimits(bytes: 64 << 20, depth: 128, members: 1_000_000)
    do throws(JSONError) { return try JSONValue.parse(bytes, limits: limits) } catch {
      throw Trouble("\(path) is no JSON from byte \(error.offset) on")
    }
  }

  /// Names of the JSON files in a directory, sorted; none when it does not exist.
  private static func names(_ path: String) throws -> [String] {
    guard let directory = unsafe opendir(path) else {
      if errno == ENOENT { return [] }
      throw Trouble("\(path) cannot be read")
    }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name.hasSuffix(".json"), !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
