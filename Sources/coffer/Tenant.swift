internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Tenant: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, list, rename and delete tenants.",
    subcommands: [Create.self, List.self, Show.self, Rename.self, Delete.self, TenantSettings.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a tenant and print its id.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "A name to know it by.") var name: String

    func run() throws {
      let answer = try AdminClient.send(
        .post, "/admin/v1/tenants", body: ["name": .string(JSONString(name))], directory: Folder.absolute(directory.path))
      guard let id = answer["data"]?.object?["id"]?.string?.text else { throw Trouble("the answer holds no tenant") }
      print(id)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List tenants.")

    @OptionGroup var directory: DirectoryOption
    @Flag(help: "Deleted ones too: their audit chains are there still.") var all = false
    @Flag(help: "Print one JSON object a line.") var json = false

    func run() throws {
      try AdminList.all("/admin/v1/tenants", directory: Folder.absolute(directory.path)) { tenant in
        guard all || tenant["isDeleted"]?.bool != true else { return }
        print(json ? String(decoding: JSONValue.object(tenant).serialized(), as: UTF8.self) : Self.line(tenant))
      }
    }

    private static func line(_ tenant: JSONObject) -> String {
      func text(_ name: JSONString) -> String { tenant[name]?.string?.text ?? "" }
      let state = tenant["isDeleted"]?.bool == true ? "deleted" : tenant["isDefault"]?.bool == true ? "default" : ""
      return [text("id"), text("createdAt"), text("name"), state].joined(separator: "  ")
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what is known of a tenant, as JSON.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "Id of the tenant, or default.") var tenant: String

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let answer = try AdminClient.send(.get, "/admin/v1/tenants/\(tenant)", directory: Folder.absolute(directory.path))
      Output.line(answer["data"]?.object ?? JSONObject())
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a tenant another name; its id stays.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "Id of the tenant, or default.") var tenant: String
    @Argument(help: "The new name.") var name: String

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      _ = try AdminClient.send(
        .patch, "/admin/v1/tenants/\(tenant)", body: ["name": .string(JSONString(name))], directory: Folder.absolute(directory.path))
      print("renamed")
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a tenant with its secrets, settings and keys, for good.",
      discussion: """
        Its encryption keys are destroyed, so that rows in older copies of the store open only with those copies' keys and the \
        root key. Its audit chain stays and can be read under its id. The default tenant cannot be deleted.
        """)

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "Id of the tenant.") var tenant: String
    @Option(help: "The tenant's name, to show that this is the one.") var confirm: String

    func validate() throws { try TenantName.check(tenant) }

    func run() throws {
      let answer = try AdminClient.send(
        .delete, "/admin/v1/tenants/\(tenant)?confirm=\(Self.encoded(confirm))", directory: Folder.absolute(directory.path))
      print("tenant \(tenant) is deleted; its audit chain stays")
      if answer["data"]?.object?["isErased"]?.bool != true {
        Notice.print("a reader holds the store's log: its keys leave the files with a later write, or when cofferd stops")
      }
    }

    /// Percent-encoded but for letters and digits (RFC 3986, section 2.1).
    private static func encoded(_ text: String) -> String {
      text.utf8.map { byte in
        if TenantName.isLetterOrDigit(byte) { return String(decoding: [byte], as: UTF8.self) }
        return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }.joined()
    }
  }
}
