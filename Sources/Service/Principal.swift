/// What a key of the settings dialect may do (design section 6). A level never implies another's rights
/// by order: each is a set.
package enum Level: String, Sendable, CaseIterable {
  /// Redacted reads.
  case masked
  /// Redacted and encrypted reads, and writes; no plaintext.
  case frontend
  /// Everything in the tenant, plaintext included.
  case backend
  /// Values of named secrets, for LookupSecret; neither the list nor the settings.
  case lookup

  package func allows(_ action: Action) -> Bool {
    switch (self, action) {
    case (.backend, _): true
    case (.frontend, .readRedacted), (.frontend, .readEncrypted), (.frontend, .listSecrets), (.frontend, .write): true
    case (.masked, .readRedacted), (.masked, .listSecrets): true
    case (.lookup, .readSecretValue): true
    case (.frontend, .readPlaintext), (.frontend, .readSecretValue): false
    case (.masked, .readEncrypted), (.masked, .readPlaintext), (.masked, .readSecretValue), (.masked, .write): false
    case (.lookup, .readRedacted), (.lookup, .readEncrypted), (.lookup, .readPlaintext), (.lookup, .listSecrets), (.lookup, .write): false
    }
  }
}

/// What a caller of the settings dialect wants to do.
package enum Action: String, Sendable, CaseIterable {
  case readRedacted, readEncrypted, readPlaintext, listSecrets, readSecretValue, write
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
  }

  package let tenant: String
  package let actor: Actor
  /// Public id of a key made by Coffer; empty otherwise.
  package let keyID: String
  package let level: Level
  /// Unix milliseconds; nil = never. Judged again on each request.
  package let expiresAt: Int64?

  package init(tenant: String, actor: Actor, keyID: String, level: Level, expiresAt: Int64? = nil) {
    self.tenant = tenant
    self.actor = actor
    self.keyID = keyID
    self.level = level
    self.expiresAt = expiresAt
  }
}
