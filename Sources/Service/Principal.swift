/// What a key of the settings dialect may do (design section 6). A level never implies another's rights
/// by order: each is a set.
package enum Level: String, Sendable, CaseIterable {
  /// Redacted reads.
  case masked
  /// Redacted and encrypted reads, and writes; no plaintext.
  case frontend
  /// Everything in the tenant, plaintext included.
  case backend
  /// Values of named secrets, for LookupSecret; neither the list nor the settings. A conversation's token is this, for some names.
  case lookup

  package func allows(_ action: Action) -> Bool {
    switch (self, action) {
    case (.backend, _): true
    case (.frontend, .readRedacted), (.frontend, .readEncrypted), (.frontend, .listSecrets), (.frontend, .write),
      (.frontend, .converse):
      true
    case (.masked, .readRedacted), (.masked, .listSecrets): true
    case (.lookup, .readSecretValue): true
    case (.frontend, .readPlaintext), (.frontend, .readSecretValue): false
    case (.masked, .readEncrypted), (.masked, .readPlaintext), (.masked, .readSecretValue), (.masked, .write), (.masked, .converse): false
    case (.lookup, .readRedacted), (.lookup, .readEncrypted), (.lookup, .readPlaintext), (.lookup, .listSecrets), (.lookup, .write),
      (.lookup, .converse):
      false
    }
  }
}

/// What a caller of the settings dialect wants to do.
package enum Action: String, Sendable, CaseIterable {
  case readRedacted, readEncrypted, readPlaintext, listSecrets, readSecretValue, write
  /// Start and steer conversations on the agent server, and use the rest of that server.
  case converse
}

/// Who acts: made by `Authenticator` and nowhere else.
package struct Principal: Sendable {
  package enum Actor: String, Sendable {
    /// A session key from the environment.
    case environment
    /// A key made by Coffer.
    case key
    /// No key, with `--insecure-open`.
    case open
    /// The person or program on the control socket, whose uid is ours.
    case localOperator = "operator"
    /// An `adk_` key.
    case admin
    /// An agent key or a token made from one.
    case agent
    /// The server itself, as when a deleted secret's time has come.
    case system
    /// A conversation's token, held by an agent server.
    case conversation
  }

  package let tenant: String
  package let actor: Actor
  /// Of an agent; empty otherwise.
  package let actorID: String
  /// Public id of a key made by Coffer; empty otherwise.
  package let keyID: String
  package let level: Level
  /// Unix milliseconds; nil = never. Judged again on each request.
  package let expiresAt: Int64?
  /// Of an admin key; the local operator is an owner. nil = no right on the operator surface.
  package let role: OperatorRole?
  /// What a conversation's token is limited to; nil for every other key.
  package let conversation: ConversationReads?

  package init(
    tenant: String, actor: Actor, actorID: String = "", keyID: String, level: Level, expiresAt: Int64? = nil, role: OperatorRole? = nil,
    conversation: ConversationReads? = nil
  ) {
    self.tenant = tenant
    self.actor = actor
    self.actorID = actorID
    self.keyID = keyID
    self.level = level
    self.expiresAt = expiresAt
    self.role = role
    self.conversation = conversation
  }
}

/// What an admin key may do on the operator surface (scoped spec, section 10).
package enum OperatorRole: String, Sendable, CaseIterable {
  /// Everything.
  case owner
  /// Structure, keys, restore, rotation.
  case `operator`
  /// Reads metadata and audit.
  case auditor
}
