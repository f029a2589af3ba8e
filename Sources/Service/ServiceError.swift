package import Model
internal import Store

/// Every way a use case fails. None carries a value, a token or a body; names from the path may appear.
package enum ServiceError: Error, Sendable {
  /// No key, or one that opens nothing.
  case unauthenticated
  /// The key's level does not allow the action.
  case forbidden(Action)
  case notFound
  /// A named thing that is not there, or is there already. The name is the one of the path or the body.
  case absent(NamedThing, String)
  case taken(NamedThing, String)
  /// No more of these may be kept.
  case limitReached(NamedThing, Int)
  /// Others still name it; the text of each says who.
  case referenced(NamedThing, by: [String])
  /// A profile names a provider connection that does not exist.
  case danglingConnection(profile: String, connection: String)
  /// A change that names nothing to change, or clears what cannot be cleared.
  case emptyChange, keyNotClearable
  /// An agent profile of a version that is not known.
  case invalidAgentProfile
  /// An agent profile that cannot be launched: why, and the MCP servers it names in vain.
  case unusableAgentProfile(name: String, reasons: [String], dangling: [String])
  case invalidSecretName
  case valueTooLong(limit: Int)
  case invalidBody([ValidationIssue])
  /// The settings do not validate after the merge.
  case invalidSettings
  /// Tokens at these JSON pointers do not open; nothing was changed.
  case tokensDoNotOpen([String])
  /// If-Match names another version.
  case preconditionFailed
  /// A name or id is taken.
  case conflict
  /// The state of things stands in the way; nothing was changed.
  case obstructed(Obstacle)
  /// A stored value does not open: damaged, or sealed under another key. Nothing was changed.
  case unreadable
  /// The root key was dropped; nothing opens and nothing is written until the host gives it again.
  case sealed
  /// The disk is full; reads go on.
  case storageFull
  /// The store cannot be used now.
  case unavailable
  /// Too many writes wait.
  case busy
  /// A cipher or random source failed.
  case internalFailure

  /// The one mapping from the store's failures.
  init(_ error: StoreError) {
    switch error {
    case .conflict: self = .conflict
    case .busy, .locked: self = .busy
    case .unavailable(.diskFull): self = .storageFull
    case .unavailable(.readOnly), .unavailable(.draining), .unavailable(.ioError): self = .unavailable
    case .unknownOutcome, .newerSchema, .networkFileSystem: self = .unavailable
    case .corrupt: self = .unreadable
    }
  }

  init(_ error: any Error) {
    switch error {
    case let error as ServiceError: self = error
    case let error as StoreError: self = ServiceError(error)
    default: self = .internalFailure
    }
  }
}

/// What stands in the way of an operator.
package enum Obstacle: Sendable, Equatable {
  case keyHasEnded, defaultTenant
  /// The entry that does not fit; cutting the chain would hide it.
  case auditDoesNotFit(Int64)
  /// The environment gives the wire key, under this variable.
  case wireKeyOfEnvironment(String)
  case wireKeyInUse, noWireKey
  /// Of a tenant's key encryption key: it seals; so many rows are under it.
  case kekActive, kekInUse(rows: Int64)
  /// Of the root key: a change of it or a restart is under way; what the host gives is another; a backup runs; its files are not known here; the key in use still
  /// waits in that file for its place.
  case rootKeyHeld, otherRootKey, backupRuns, rootKeyUnmanaged, rootKeyNotMoved(String)
  /// In the way of another root key: a KEK version that the present one does not open; an entry that does not fit.
  case kekDoesNotOpen(tenant: String, version: UInt32), brokenChain(tenant: String, sequence: Int64)
  /// A key file that cannot be read or written: which and why.
  case keyFile(String)

  package var text: String {
    switch self {
    case .keyHasEnded: "\(ErrorCode.keyEnded.message)"
    case .defaultTenant: "The default tenant cannot be deleted."
    case .auditDoesNotFit(let sequence): "Entry \(sequence) of the chain does not fit; nothing was cut."
    case .wireKeyOfEnvironment(let variable):
      "The environment gives the wire key (\(variable)): there, set OH_SECRET_KEY to the new one and OH_SECRET_KEYS_RETIRED_0 to the old one, and start the service anew."
    case .wireKeyInUse: "That key seals; rotate it first."
    case .kekActive: "That version seals; rotate first."
    case .kekInUse(let rows): "\(rows) rows are still under that version; the re-wrap is under way."
    case .rootKeyHeld: "A change of the root key or a restart is under way; try again."
    case .otherRootKey: "The root key on this host is not the one of this store; nothing was changed."
    case .backupRuns: "A backup runs; try again when it is done."
    case .rootKeyUnmanaged: "This process does not know where the root key is kept."
    case .rootKeyNotMoved(let path):
      "\(path) holds the root key in use: put it where the root key is read from, and remove that file first."
    case .kekDoesNotOpen(let tenant, let version):
      "KEK version \(version) of \(tenant) does not open under the root key, or its row was changed; nothing was changed. `coffer verify` tells what is damaged."
    case .brokenChain(let tenant, let sequence):
      "Entry \(sequence) of the audit chain of \(tenant) does not fit; nothing was changed. Look into it first; --accept-broken-audit goes on and records it."
    case .keyFile(let message): message
    case .noWireKey: "There is no wire key to seal with; restore its file."
    }
  }
}

/// What the settings dialect keeps by name or id.
package enum NamedThing: Sendable, Equatable {
  case mcpServer, profile, agentProfile, agentProfileID, connection, workspace, workspaceParent, agentServer
}
