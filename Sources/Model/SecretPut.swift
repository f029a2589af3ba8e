package import StrictJSON

/// The ten stars that stand for a secret in redacted answers.
package enum Redaction {
  package static let mask: JSONString = "**********"
}

/// The body of `PUT /api/settings/secrets` (settings spec, section 8.3; D6, D10). Unknown members are ignored.
package struct SecretPut: Sendable, Equatable {
  package enum Description: Sendable, Equatable {
    case absent, null
    case text(JSONString)
  }

  package let name: JSONString
  /// nil when absent: the stored value stays.
  package let value: JSONString?
  package let description: Description

  package init(body: JSONValue) throws(BodyError) {
    guard let object = body.object else { throw BodyError(issues: [.notObject(["body"])]) }
    var issues: [ValidationIssue] = []
    var name: JSONString?
    var value: JSONString?
    var description = Description.absent
    switch object["name"] {
    case nil: issues.append(.missing(["body", "name"]))
    case .string(let text)?: name = text
    case _?: issues.append(.notText(["body", "name"]))
    }
    switch object["value"] {
    case nil:
      // Without a name nothing can be kept: both are missing.
      if name == nil, issues.first == .missing(["body", "name"]) { issues.append(.missing(["body", "value"])) }
    case .string(let text)?: value = text
    case _?: issues.append(.notText(["body", "value"]))
    }
    switch object["description"] {
    case nil: break
    case .null?: description = .null
    case .string(let text)?: description = .text(text)
    case _?: issues.append(.notText(["body", "description"]))
    }
    guard issues.isEmpty, let name else { throw BodyError(issues: issues) }
    self.name = name
    self.value = value
    self.description = description
  }
}
