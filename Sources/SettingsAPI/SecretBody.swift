internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// Wire shapes of `/api/settings/secrets` (spec section 8).
enum SecretBody {
  static func json(_ summary: SecretSummary) -> JSONValue {
    [
      "name": .string(JSONString(summary.name)),
      "description": summary.description.map { .string(JSONString($0)) } ?? .null,
    ]
  }

  /// Reads the body of a PUT. An absent `value` means "keep"; whether there is one to keep is for the store to say (D10).
  /// The mask as value keeps too (D6).
  static func change(_ body: JSONValue) throws(ServiceError) -> SecretChange {
    let parsed: SecretPut
    do { parsed = try SecretPut(body: body) } catch { throw .invalidBody(error.issues) }
    guard let name = SecretName(parsed.name.utf8) else { throw .invalidSecretName }
    let description: SecretChange.Description =
      switch parsed.description {
      case .absent: .keep
      case .null: .set(nil)
      case .text(let text): .set(text.text)
      }
    var value: SecretBytes?
    if let text = parsed.value, text != Redaction.mask {
      guard text.utf8.count <= SecretChange.maximumValueBytes else { throw .valueTooLong(limit: SecretChange.maximumValueBytes) }
      value = SecretBytes(copying: text.utf8)
    }
    return SecretChange(name: name, value: value, description: description)
  }
}
