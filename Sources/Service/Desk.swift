internal import Ciphers
internal import KeyRing
internal import Model
internal import SecretMemory
package import Store

/// What one thread serves requests with: the shared service and this thread's own reader.
package final class Desk {
  package let service: Service
  let reader: any StoreReader
  var memory = SnapshotMemory()
  private var forgettings = 0
  /// Who sent the request under way, once a key of theirs was accepted. Whoever begins a request sets it to nil.
  package var caller: Principal?

  package init(_ service: Service) throws(StoreError) {
    self.service = service
    reader = try service.store.makeReader()
  }

  /// From here on reads see one snapshot, which lacks nothing but audit entries of what anybody was told of before. A failure shows in
  /// the reads themselves.
  package func requestBegins() {
    forgetWithTheVault()
    reader.refresh(.contents)
  }

  /// For requests that read the audit chain and other rows: from here on reads see both in one snapshot that lacks nothing.
  package func readsEntries() { reader.refresh(.everything) }
  package func turnEnds() { reader.turnEnds() }

  /// What the vault has dropped, this thread drops too. To be called now and then, also when there is no request.
  package func forgetWithTheVault() {
    let forgettings = service.vault.forgettings
    guard forgettings != self.forgettings else { return }
    memory = SnapshotMemory()
    Service.dropThreadKeys()
    self.forgettings = forgettings
  }

  /// Who a key of the settings dialect belongs to.
  package func authenticate(_ token: [UInt8]?) throws(ServiceError) -> Principal {
    let principal = try recognised(token)
    caller = principal
    return principal
  }

  private func recognised(_ token: [UInt8]?) throws(ServiceError) -> Principal {
    if service.isSealed { throw .sealed }
    guard let token, !token.isEmpty, let structure = reader.structure else {
      return try Authenticator.principal(for: token, service: service, in: reader)
    }
    let digest = SHA256.digest(token)
    if let known = memory.principal(digest, in: structure, now: service.now()) { return known }
    let principal = try Authenticator.principal(for: token, service: service, in: reader)
    // What a conversation's token reads is in a document.
    if principal.conversation == nil { memory.remember(principal, by: digest, in: structure) }
    return principal
  }
}

extension Principal {
  package func demand(_ action: Action) throws(ServiceError) {
    guard level.allows(action) else { throw .forbidden(action) }
  }

  /// A conversation's token reads the secrets it was made for.
  func demand(reading secret: String) throws(ServiceError) {
    try demand(.readSecretValue)
    if let conversation, !conversation.names.contains(secret) { throw .forbidden(.readSecretValue) }
  }
}
