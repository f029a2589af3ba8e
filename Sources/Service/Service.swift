internal import Ciphers
package import KeyRing
package import SecretMemory
package import Store
internal import Synchronization
internal import Threads

/// What every thread shares: the store, the keys, the rules. Immutable after start.
package final class Service: Sendable {
  /// When the audit entry of an exposure must be durable.
  package enum ExposureAudit: String, Sendable { case beforeReply = "before-reply", batched }

  package struct Options: Sendable {
    /// Session keys from the environment: the default tenant with every right.
    package var environmentKeys: [SecretBytes]
    /// No key, or an unknown one, acts as the default tenant. Only for loopback and unix listeners.
    package var isOpen: Bool
    package var exposureAudit: ExposureAudit
    /// Where wire keys that the environment does not give are kept; nil where nothing may change them.
    package var wireKeyFiles: WireKeyFiles?
    /// Around the root key; nil where it is not to be changed.
    package var rootKeyFiles: RootKeyFiles?
    /// Where a sealed server gets its root key again; nil where it does not.
    package var rootKeySource: RootKeySource?
    /// Milliseconds that a conversation's token lives after its last use.
    package var conversationLife: Int64
    /// Called whenever somebody reads a canary secret, on the thread that serves the reading: it must not wait.
    package var onCanary: @Sendable (CanaryAlert) -> Void
    /// Called after the root key was dropped or came back; it must not wait.
    package var onSealing: @Sendable (Sealing) -> Void

    package init(
      environmentKeys: [SecretBytes] = [], isOpen: Bool = false, exposureAudit: ExposureAudit = .beforeReply,
      wireKeyFiles: WireKeyFiles? = nil, rootKeyFiles: RootKeyFiles? = nil, rootKeySource: RootKeySource? = nil,
      conversationLife: Int64 = 720 * 60_000, onCanary: @escaping @Sendable (CanaryAlert) -> Void = { _ in },
      onSealing: @escaping @Sendable (Sealing) -> Void = { _ in }
    ) {
      self.environmentKeys = environmentKeys
      self.isOpen = isOpen
      self.exposureAudit = exposureAudit
      self.wireKeyFiles = wireKeyFiles
      self.rootKeyFiles = rootKeyFiles
      self.rootKeySource = rootKeySource
      self.conversationLife = conversationLife
      self.onCanary = onCanary
      self.onSealing = onSealing
    }
  }

  package let store: any Store
  package let vault: Vault
  package let wire: WireRing
  package let defaultTenant: String
  package let options: Options
  /// Unix milliseconds.
  package let now: @Sendable () -> Int64
  let environmentDigests: [[UInt8]]
  let wrapCounter = WrapCounter()
  package let rewrapping = Rewrapping()
  let isBackingUp = Atomic(false)
  let isRootHeld = Atomic(false)
  let canaryAlerts = Atomic<UInt64>(0)
  /// The repeatable changes that are on their way.
  let running = Locked<Set<[UInt8]>>([])
  let uses = KeyUses()
  package let limiter: RateLimiter
  let steadyClock = SteadyClock()
  /// Uses of one KEK version before the next is made. A parameter for tests; the rule is `WrapLimit.rotation`.
  let wrapLimit: Int64

  /// Checks that `root` is the key of this store before anything else happens.
  ///
  /// - Parameter waits: whether a store of an older form has its new one first; false where another process may still write.
  package init(
    store: any Store, root: RootKey, wire: WireRing, options: Options, waits: Bool = true, wrapLimit: Int64 = WrapLimit.rotation,
    now: @escaping @Sendable () -> Int64
  ) throws(StartError) {
    let reader = try Self.reading { () throws(StoreError) in try store.makeReader() }
    let identity = try Self.identity(in: reader, root: root)
    defaultTenant = identity.defaultTenant
    self.store = store
    self.wire = wire
    self.options = options
    self.now = now
    self.wrapLimit = wrapLimit
    vault = Vault(root: root)
    limiter = RateLimiter(refuses: !options.isOpen)
    environmentDigests = options.environmentKeys.map(Authenticator.digest)
    if !identity.hasProvenKEKs { try proveKEKs(with: root, waits: waits) }
  }

  /// Of the calling thread: what libcrypto keeps of the keys it worked with last.
  package static func dropThreadKeys() { WorkingMemory.erase() }

  /// Runs `body` in the writer. `completion` comes on the writer's thread once the commit is durable.
  func write<T: Sendable>(
    _ body: @escaping @Sendable (any StoreTransaction) throws -> T,
    completion: @escaping @Sendable (Result<T, ServiceError>) -> Void
  ) {
    store.write(body) { result in completion(result.mapError(ServiceError.init)) }
  }
}

/// Why a start is refused. Nothing was changed.
package enum StartError: Error, Sendable, Equatable {
  case store(StoreError)
  /// The directory holds no initialised store.
  case notInitialised
  case alreadyInitialised
  /// The root key is not the one this store was made with.
  case wrongRootKey
  case cipher
}
