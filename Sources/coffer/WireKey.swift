internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct WireKey: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, replace and end the keys of encrypted values on the wire.",
    discussion: """
      They seal what X-Expose-Secrets: encrypted returns. When the environment gives the key (OH_SECRET_KEY), it is changed \
      there: the new one in OH_SECRET_KEY, the old one in OH_SECRET_KEYS_RETIRED_0.
      """, subcommands: [List.self, Rotate.self, Retire.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the keys: ids, never the keys themselves.")

    @OptionGroup var directory: DirectoryOption
    @Flag(help: "Print one JSON object a line.") var json = false

    func run() throws {
      try AdminList.all("/admin/v1/wire-keys", directory: Folder.absolute(directory.path)) { key in
        print(json ? String(decoding: JSONValue.object(key).serialized(), as: UTF8.self) : Self.line(key))
      }
    }

    private static func line(_ key: JSONObject) -> String {
      func text(_ name: JSONString) -> String? { key[name]?.string?.text }
      let state = key["isPrimary"]?.bool == true ? "seals and opens" : "opens only"
      return [text("id") ?? "", state, text("since").map { "made \($0)" } ?? "", text("origin") ?? ""].joined(separator: "  ")
    }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new key; tokens under the old one open until it is retired.",
      discussion: "A running cofferd is restarted gracefully, so that it takes effect.")

    @OptionGroup var directory: DirectoryOption

    func run() throws {
      let path = Folder.absolute(directory.path)
      let answer = try AdminClient.send(.post, "/admin/v1/wire-keys/rotate", directory: path)
      guard let keys = answer["data"]?.object, let new = keys["id"]?.string?.text, let old = keys["old"]?.string?.text else {
        throw Trouble("the answer holds no key")
      }
      print("key \(new) seals from now on; \(old) opens until: coffer wire-key retire \(old)")
      try WireKey.takeEffect(path)
    }
  }

  struct Retire: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a key that only opens: tokens under it are refused from now on.",
      discussion: "A running cofferd is restarted gracefully, so that it takes effect.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "The key's id, as `coffer wire-key list` prints it.") var id: String

    func validate() throws {
      guard (1...64).contains(id.utf8.count), id.utf8.allSatisfy({ TenantName.isLetterOrDigit($0) || $0 == UInt8(ascii: "_") }) else {
        throw ValidationError("an id is what `coffer wire-key list` prints first; never put a key into arguments")
      }
    }

    func run() throws {
      let path = Folder.absolute(directory.path)
      if id.hasPrefix("OH_") { throw Trouble("the environment gives that key: remove \(id) there and start the service anew") }
      _ = try AdminClient.send(.delete, "/admin/v1/wire-keys/\(id)", directory: path)
      print("key \(id) is retired")
      try WireKey.takeEffect(path)
    }
  }

  /// Keys are read at the start of a process.
  private static func takeEffect(_ directory: String) throws {
    guard try AdminClient.isServed(directory) else { return print("no cofferd runs; it takes effect at the next start") }
    guard let (old, new) = try Restart.startSuccessor(directory) else {
      throw Trouble("cofferd could not be told; run: coffer restart --dir \(directory)")
    }
    print("cofferd \(new) serves in the place of \(old)")
  }
}
