package import StrictJSON

/// Names of profiles (settings spec, section 9.1): 1 to 64 bytes.
package enum ProfileName {
  package static let maximumLength = 64
  package static let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

  package static func isValid(_ name: [UInt8]) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
    guard (1...64).contains(name.count), isAlphanumeric(name[0]) else { return false }
    return name.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
  }

  /// The new name in the body of a rename.
  package static func renaming(_ body: JSONValue) throws(BodyError) -> String {
    let place: [ValidationIssue.Step] = ["body", "new_name"]
    guard let object = body.object else { throw BodyError(issues: [.notObject(["body"])]) }
    switch object["new_name"] {
    case nil: throw BodyError(issues: [.missing(place)])
    case .string(let name)?:
      if name.utf8.isEmpty { throw BodyError(issues: [.tooShort(place, minimum: 1)]) }
      if name.text.unicodeScalars.count > maximumLength { throw BodyError(issues: [.tooLong(place, maximum: maximumLength)]) }
      guard isValid(name.utf8) else { throw BodyError(issues: [.patternMismatch(place, pattern: pattern)]) }
      return name.text
    case _?: throw BodyError(issues: [.notText(place)])
    }
  }
}

/// A named model configuration, in the clear (settings spec, section 9.1).
package struct LLMProfile: Sendable {
  /// Every member of the `llm` record.
  package private(set) var llm: JSONObject

  package enum Failure: Error, Sendable {
    case body(BodyError)
    case settings(SettingsError)
  }

  private static let secrets: [JSONString] = ["api_key", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"]

  package init(llm: JSONObject) { self.llm = llm }

  /// The stored profile as it was rendered with its secrets in the clear.
  package init(_ rendered: RenderedSettings) throws(SettingsError) {
    let limits = JSONLimits(bytes: 64 << 20, depth: 256, members: 1_000_000)
    guard let llm = (try? JSONValue.parse(rendered.json, limits: limits))?.object else { throw .invalid }
    self.llm = llm
  }

  /// Reads the body of a save. A mask keeps what `stored` has at its place.
  package init(saving body: JSONValue, over stored: LLMProfile?, opening: @escaping (JSONString) -> TokenOpening) throws(Failure) {
    let (llm, keepsSecrets) = try Self.parts(body)
    var validator = Validator(base: stored.map { .object($0.llm) } ?? .null, opening: opening)
    do { self.llm = try validator.record(AgentTables.llm, .object(llm)) } catch { throw .settings(.invalid) }
    guard validator.unopened.isEmpty else { throw .settings(.tokensDoNotOpen(validator.unopened.map { "/llm" + $0 })) }
    var cleared = keepsSecrets ? [] : Self.secrets
    // The connection's key and address stand in for these.
    if connection != nil { cleared += ["api_key", "base_url"] }
    if self.llm["auth_type"] == "subscription" { cleared += ["api_key", "base_url", "extra_headers"] }
    for name in cleared { self.llm[name] = .null }
  }

  private static func parts(_ body: JSONValue) throws(Failure) -> (llm: JSONObject, keepsSecrets: Bool) {
    guard let object = body.object else { throw .body(BodyError(issues: [.notObject(["body"])])) }
    var issues: [ValidationIssue] = []
    if let llm = object["llm"] { issues = issuesOf(llm, at: ["body", "llm"]) } else { issues = [.missing(["body", "llm"])] }
    var keepsSecrets = true
    if let given = object["include_secrets"] {
      do { keepsSecrets = try Lax.boolean(given) } catch {
        issues.append(.notBoolean(given, ["body", "include_secrets"]))
      }
    }
    guard issues.isEmpty, let llm = object["llm"]?.object else { throw .body(BodyError(issues: issues)) }
    return (llm, keepsSecrets)
  }

  private static func issuesOf(_ llm: JSONValue, at place: [ValidationIssue.Step]) -> [ValidationIssue] {
    if let object = llm.object, object["model"].map({ $0.isNull || $0 == "" }) ?? true {
      return [.valueError(place, "model must be specified in LLM")]
    }
    return BodyIssues.of(llm, as: AgentTables.llm, at: place)
  }

  /// The id of the provider connection it takes key and address from.
  package var connection: String? {
    guard let id = llm["provider_connection_id"]?.string, !id.utf8.isEmpty else { return nil }
    return id.text
  }

  /// The same as it was given: an empty one names nothing and is shown all the same.
  package var connectionID: JSONValue { llm["provider_connection_id"] ?? .null }

  package var hasKey: Bool { llm["api_key"]?.string.map { !$0.isBlank } ?? false }
  package var model: JSONValue { llm["model"] ?? .null }
  package var baseURL: JSONValue { llm["base_url"] ?? .null }

  /// The whole model with the connection's key and address in it.
  package func resolved(with connection: ProviderConnection?) -> JSONObject {
    guard let connection else { return llm }
    var llm = llm
    llm["api_key"] = connection.apiKey.map(JSONValue.string) ?? .null
    llm["base_url"] = connection.baseURL.map(JSONValue.string) ?? .null
    return llm
  }

  package func rendered() -> RenderedSettings { Self.render(llm) }

  /// Without secrets: the key is null, whether there is one or not, the others are masked.
  package func redacted() -> [UInt8] {
    var shown = llm
    shown["api_key"] = .null
    return Self.render(shown).redacted()
  }

  /// Members in which we seal what an agent server keeps in the clear (docs/decisions/0004).
  var membersSealedByUsAlone: [JSONString] {
    (["extra_headers", "litellm_extra_body"] as [JSONString]).filter { name in
      llm[name].map { !Self.render(JSONObject(uniqueMembers: [.init(name: name, value: $0)])).slots.isEmpty } ?? false
    }
  }

  private static func render(_ llm: JSONObject) -> RenderedSettings {
    var renderer = Renderer()
    renderer.append(llm, as: AgentTables.llm)
    return renderer.result
  }
}
