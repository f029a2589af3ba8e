internal import ArgumentParser
internal import StrictJSON

struct ListSecrets: AgentCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the secrets of a scope: names and fields, never values.")

  @OptionGroup var server: AgentOptions
  @OptionGroup var place: ScopeOption
  @Option(help: "Only this category.") var category: String?
  @Option(help: "Only secrets with this tag; may be given several times, all must match.") var tag: [String] = []
  @Flag(help: "Print one JSON object a line.") var json = false

  func run(_ client: AgentClient) throws {
    let scope = try place.scope.resolved(by: client)
    let filter = tag.map { ("tag", $0) } + (category.map { [("category", $0)] } ?? [])
    try client.pages(scope.path, filter) { row in
      if json { Output.line(row) } else { Output.columns(Self.columns(row)) }
    }
  }

  static func columns(_ row: JSONObject) -> [String] {
    let fields = (row["fields"]?.array ?? []).compactMap(\.object).map { field in
      (field["fieldKey"]?.string?.text ?? "") + (field["sensitivity"]?.string == "encrypted" ? "*" : "")
    }
    return [
      row["secretId"]?.string?.text ?? "", row["category"]?.string?.text ?? "", fields.joined(separator: ","),
      row["updatedAt"]?.string?.text ?? "",
    ]
  }
}

extension AgentClient {
  /// Every row of a list, page after page.
  func pages(_ path: String, _ filter: [(String, String)] = [], limit: Int = .max, _ each: (JSONObject) throws -> Void) throws {
    var cursor: String?
    var left = limit
    while left > 0 {
      let query = [("limit", String(min(200, left)))] + filter + (cursor.map { [("cursor", $0)] } ?? [])
      let page = try get(path + "?" + query.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&"))
      for row in page.list { try each(row) }
      left -= page.list.count
      guard let next = page.object["cursor"]?.string?.text, next != cursor else { return }
      cursor = next
    }
  }

  /// Percent-encoded (RFC 3986, section 2.1): everything but unreserved characters.
  static func encoded(_ text: String) -> String {
    text.utf8.map { byte in
      if TenantName.isLetterOrDigit(byte) || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte) { return String(UnicodeScalar(byte)) }
      return (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
    }.joined()
  }
}
