internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

/// Which tenant of which store an operator's command is about.
struct TenantOption: ParsableArguments {
  @OptionGroup var directory: DirectoryOption
  @Option(help: "Id of the tenant.") var tenant = "default"

  func validate() throws { try TenantName.check(tenant) }

  private func path(_ rest: String) -> String { "/admin/v1/tenants/\(tenant)\(rest)" }

  /// The `data` of the answer.
  @discardableResult
  func send(_ method: HTTPMethod, _ rest: String, _ body: JSONObject? = nil) throws -> JSONObject {
    let answer = try AdminClient.send(method, path(rest), body: body.map(JSONValue.object), directory: Folder.absolute(directory.path))
    return answer["data"]?.object ?? JSONObject()
  }

  /// Prints every row: as JSON, or the members named by `columns`.
  func list(_ rest: String, asJSON: Bool, _ columns: [JSONString]) throws {
    try AdminList.all(path(rest), directory: Folder.absolute(directory.path)) { row in
      asJSON ? Output.line(row) : Output.columns(columns.map { Self.text(row[$0]) })
    }
  }

  /// A made thing: as JSON, or its id alone.
  func show(made: JSONObject, asJSON: Bool) { asJSON ? Output.line(made) : print(Self.text(made["id"])) }

  private static func text(_ value: JSONValue?) -> String {
    guard let value, !value.isNull else { return "-" }
    return value.string?.text ?? String(decoding: value.serialized(), as: UTF8.self)
  }
}

struct JSONFlag: ParsableArguments {
  @Flag(name: .customLong("json"), help: "Print JSON.") var isOn = false
}

extension JSONObject {
  /// Without the members that are nil.
  init(_ members: [(JSONString, JSONValue?)]) {
    self.init()
    for (name, value) in members { if let value { self[name] = value } }
  }
}

extension JSONValue {
  static func text(_ text: String) -> JSONValue { .string(JSONString(text)) }
}

/// An id of the scoped dialect, which goes into a path (scoped spec, section 3.1).
enum IDRule {
  static func check(_ text: String) throws {
    let isAllowed = text.utf8.allSatisfy { TenantName.isLetterOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    guard (1...128).contains(text.utf8.count), isAllowed else {
      throw ValidationError("an id has letters, digits, underscores and dashes, 128 at most; names are not taken in its place")
    }
  }
}
