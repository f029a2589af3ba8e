internal import Ciphers
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Store

/// From a credential to a principal: the one place that decides who a caller is.
enum Authenticator {
  /// Keys are compared by digest, so that the work does not depend on where two keys differ.
  static func digest(of key: SecretBytes) -> [UInt8] { key.withBytes { SHA256.digest($0) } }

  /// The principal of the settings dialect for the value of `X-Session-API-Key`.
  static func principal(for token: [UInt8]?, service: Service, in store: any StoreReading) throws(ServiceError) -> Principal {
    if let token, !token.isEmpty {
      if isEnvironmentKey(token, service: service) {
        return Principal(tenant: service.defaultTenant, actor: .environment, keyID: "", level: .backend)
      }
      for kind in [APIKeyKind.session, .conversation] {
        if let principal = try storedKey(token, kind: kind, service: service, in: store) { return principal }
      }
    }
    guard service.options.isOpen, service.environmentDigests.isEmpty else { throw .unauthenticated }
    return Principal(tenant: service.defaultTenant, actor: .open, keyID: "", level: .backend)
  }

  /// The principal of the admin surface for a bearer key.
  static func admin(for token: [UInt8], service: Service, in store: any StoreReading) throws(ServiceError) -> Principal {
    guard let principal = try storedKey(token, kind: .admin, service: service, in: store) else { throw .unauthenticated }
    return principal
  }

  /// Why the operator surface does not take a token. Only who has the whole key is told that it has ended (scoped spec, section 2.1).
  static func refusal(ofAdmin token: [UInt8], service: Service, in store: any StoreReading) throws(ServiceError) -> ErrorCode {
    for kind in APIKeyKind.allCases {
      guard let row = try knownRow(token, kind: kind, service: service, in: store) else { continue }
      return end(of: row, now: service.now()) ?? (kind == .admin ? .unauthenticated : .wrongKeyKind)
    }
    return .unauthenticated
  }

  /// nil while the key holds.
  static func end(of row: APIKeyRow, now: Int64) -> ErrorCode? {
    if row.revokedAt != nil { return .keyRevoked }
    if let expiry = row.expiresAt, expiry <= now { return .keyExpired }
    return nil
  }

  private static func isEnvironmentKey(_ token: [UInt8], service: Service) -> Bool {
    let presented = unsafe SHA256.digest(token.span.bytes)
    // Every key is compared, whichever fits first.
    return service.environmentDigests.reduce(false) { found, digest in constantTimeEqual(digest, presented) || found }
  }

  /// nil when the token names no key that holds.
  private static func storedKey(_ token: [UInt8], kind: APIKeyKind, service: Service, in store: any StoreReading) throws(ServiceError)
    -> Principal?
  {
    guard let row = try knownRow(token, kind: kind, service: service, in: store), end(of: row, now: service.now()) == nil else {
      return nil
    }
    switch kind {
    case .session:
      guard let level = Level(rawValue: row.role) else { return nil }
      return Principal(tenant: row.tenant, actor: .key, keyID: row.id, level: level, expiresAt: row.expiresAt)
    case .admin:
      return Principal(tenant: row.tenant, actor: .admin, keyID: row.id, level: .masked, role: OperatorRole(rawValue: row.role))
    case .agent, .child: return nil
    case .conversation:
      guard let (reads, expiresAt) = try service.reads(of: row, in: store) else { return nil }
      return Principal(
        tenant: row.tenant, actor: .conversation, keyID: row.id, level: .lookup, expiresAt: expiresAt, conversation: reads)
    }
  }

  /// The row of the key that the token is, whether it holds or not.
  private static func knownRow(_ token: [UInt8], kind: APIKeyKind, service: Service, in store: any StoreReading) throws(ServiceError)
    -> APIKeyRow?
  {
    guard let parsed = APIKeyToken(parsing: token), parsed.prefix == kind.prefix else { return nil }
    let row: APIKeyRow?
    do { row = try store.apiKey(parsed.id) } catch { throw ServiceError(error) }
    let presented = parsed.digest
    // An unknown id costs the same comparison as a known one.
    let matches = constantTimeEqual(row?.digest ?? [UInt8](repeating: 0, count: 32), presented)
    guard let row, matches, row.kind == kind.rawValue else { return nil }
    guard try service.vault.verify(row) else { throw .unreadable }
    return row
  }
}

/// The kinds of keys Coffer makes; each has its own prefix, so that a scanner can tell them.
package enum APIKeyKind: String, Sendable, CaseIterable {
  case session, admin, agent, conversation
  /// A short-lived token that an agent made from its key.
  case child

  package var prefix: String {
    switch self {
    case .session: "csk"
    case .admin: "adk"
    case .agent: "agk"
    case .child: "agc"
    case .conversation: "cvk"
    }
  }
}
