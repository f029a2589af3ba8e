internal import Ciphers
package import KeyRing
package import Model
package import SecretMemory
internal import Store

// Where the rows of the scoped dialect are sealed, and what their MACs cover. A column that is added to a row must be added here.

extension TeamRow: RootSealedRow {
  var macMessage: MACMessage { MACMessage("teams").text(tenant).text(id).text(name).integer(createdAt) }
}

extension ProjectRow: RootSealedRow {
  var macMessage: MACMessage { MACMessage("projects").text(tenant).text(id).text(name).optionalText(team).integer(createdAt) }
}

extension AgentRow: RootSealedRow {
  var macMessage: MACMessage {
    MACMessage("agents").text(tenant).text(id).text(name).text(description).integer(createdAt).text(createdBy)
      .optionalInteger(disabledAt)
  }
}

extension MembershipRow: RootSealedRow {
  var macMessage: MACMessage {
    MACMessage("memberships").text(tenant).text(agent).text(scope).text(scopeID).text(role).integer(priority)
      .optionalInteger(expiresAt).integer(createdAt)
  }
}

extension InviteRow: RootSealedRow {
  var macMessage: MACMessage {
    MACMessage("invites").text(tenant).text(id).text(label).bytes(digest).text(memberships).integer(expiresAt).integer(maxUses)
      .integer(uses).integer(createdAt).text(createdBy).optionalInteger(revokedAt)
  }
}

extension KeyUseRow: RootSealedRow {
  var macMessage: MACMessage { MACMessage("key_uses").text(tenant).text(id).integer(lastUsedAt).integer(uses) }
}

extension CanaryAlertRow: RootSealedRow {
  var macMessage: MACMessage { MACMessage("canary_alerts").text(tenant).text(place).integer(alerts).integer(lastAt) }
}

extension IdempotencyRow: RootSealedRow {
  var macMessage: MACMessage {
    MACMessage("idempotency").text(tenant).bytes(id).bytes(bodyDigest).integer(status).text(entityTag).integer(createdAt).bytes(body)
  }
}

extension TenantKeys {
  func mac(of row: ScopedSecretRow) throws(ServiceError) -> [UInt8] {
    try rowMAC(
      MACMessage("scoped_secrets").text(row.place.tenant).text(row.place.scope).text(row.place.scopeID).text(row.secretID)
        .unsigned(row.incarnation).text(row.name).text(row.category).text(row.tags).unsigned(row.revision)
        .unsigned(UInt64(row.kekVersion)).integer(row.createdAt).integer(row.updatedAt).text(row.createdBy).text(row.updatedBy)
        .optionalInteger(row.deletedAt).optionalInteger(row.purgeAfter).text(Self.canaryMark, if: row.isCanary)
        .text(Self.fieldsMark, if: !row.fieldVersions.isEmpty).text(row.fieldVersions, if: !row.fieldVersions.isEmpty))
  }

  /// Before the versions of its fields, which rows from before schema 7 do not have.
  private static let fieldsMark = "fields"

  func mac(of row: FieldRow) throws(ServiceError) -> [UInt8] {
    try rowMAC(
      MACMessage("fields").text(row.tenant).unsigned(row.incarnation).text(row.fieldKey).unsigned(row.version)
        .text(row.state.rawValue).text(row.sensitivity).bytes(row.dataKeyID).unsigned(UInt64(row.kekVersion))
        .integer(row.createdAt).text(row.createdBy).optionalInteger(row.purgeAfter))
  }

  func mac(of row: DataKeyRow) throws(ServiceError) -> [UInt8] {
    try rowMAC(
      MACMessage("data_keys").text(row.tenant).bytes(row.id).unsigned(row.incarnation).text(row.fieldKey)
        .unsigned(row.fieldVersion).bytes(row.digest).unsigned(UInt64(row.kekVersion)).integer(row.boundAt))
  }

  /// Opens a field; `secret` is the row it belongs to.
  func open(_ row: FieldRow, of secret: ScopedSecretRow) throws(ServiceError) -> FieldContent {
    let bytes: SecretBytes
    do { bytes = try open(row.sealed, at: .field(row.fieldKey, of: secret, version: row.version)) } catch { throw .unreadable }
    guard let content = FieldContent(stored: bytes) else { throw .unreadable }
    return content
  }
}

extension Place {
  /// No part of the id can hold a slash.
  static func field(_ key: String, of secret: ScopedSecretRow, version: UInt64) -> Place {
    Place(
      table: "fields", tenant: secret.place.tenant, id: secret.place.scope + "/" + secret.place.scopeID + "/" + secret.secretID + "/" + key,
      field: "content", incarnation: secret.incarnation, version: version)
  }
}

/// What a field holds.
package enum FieldContent: Sendable {
  case value(SecretBytes)
  case envelope(EnvelopeV1)

  package var sensitivity: Sensitivity {
    switch self {
    case .value: .plaintext
    case .envelope: .encrypted
    }
  }

  private static let valueKind: UInt8 = 1
  private static let envelopeKind: UInt8 = 2
  private static let envelopeHead = EnvelopeV1.ivBytes + EnvelopeV1.tagBytes + WrappedDataKey.byteCount

  /// `1 || value`, or `2 || iv (12) || tag (16) || wrapped key (110) || ciphertext`.
  var stored: SecretBytes {
    switch self {
    case .value(let value):
      value.withBytes { bytes in
        SecretBytes(count: bytes.byteCount + 1) { target in
          target.storeBytes(of: Self.valueKind, as: UInt8.self)
          unsafe target.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { unsafe target[1...].copyBytes(from: $0) }
          }
        }
      }
    case .envelope(let envelope):
      SecretBytes(
        copying: [Self.envelopeKind] + envelope.iv + envelope.authTag + envelope.dataKeyCiphertext + envelope.ciphertext)
    }
  }

  init?(stored: SecretBytes) {
    let found = stored.withBytes { bytes -> FieldContent? in
      guard bytes.byteCount > 0 else { return nil }
      switch unsafe bytes.unsafeLoad(as: UInt8.self) {
      case Self.valueKind: return .value(SecretBytes(copying: bytes.extracting(droppingFirst: 1)))
      case Self.envelopeKind:
        guard bytes.byteCount > Self.envelopeHead else { return nil }
        let all = unsafe bytes.withUnsafeBytes { unsafe Array($0.dropFirst()) }
        let (tag, key) = (EnvelopeV1.ivBytes, EnvelopeV1.ivBytes + EnvelopeV1.tagBytes)
        return .envelope(
          EnvelopeV1(
            iv: Array(all[..<tag]), ciphertext: Array(all[Self.envelopeHead...]), authTag: Array(all[tag..<key]),
            dataKeyCiphertext: Array(all[key..<Self.envelopeHead])))
      default: return nil
      }
    }
    guard let found else { return nil }
    self = found
  }
}
