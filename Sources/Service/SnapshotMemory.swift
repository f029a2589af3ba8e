internal import Model
internal import Store

/// What one thread has worked out before and need not work out again: whom a key names, and the settings as they leave.
/// Nothing in it is a secret. What was worked out of rows holds until a commit that may have changed them (decisions 51 and 54).
struct SnapshotMemory {
  private static let maximumPrincipals = 1024
  private static let maximumViews = 64
  /// Longer documents are made anew each time: the memory of a thread stays below 4 MiB.
  private static let maximumBody = 64 << 10
  private static let maximumFields = 256
  /// Bytes; with the number of fields it bounds their memory, as stored and as rendered, at 3 MiB.
  private static let maximumEnvelope = 4 << 10
  /// A token tells when it was made; it shall not be older than this, in milliseconds.
  private static let tokenAge: Int64 = 60_000

  private var structure: ReadVersion?
  /// By the SHA-256 of the key's text. Holds while nothing changes that says who may do what, so that a revocation counts on the next
  /// request.
  private var principals: [[UInt8]: Principal] = [:]
  /// Agents, by the same and as long.
  private var callers: [[UInt8]: AgentCaller] = [:]
  private var views: [View.Name: View] = [:]
  /// Encrypted fields whose rows were checked: what was found holds while the rows are the same.
  private var fields: [KnownField.Name: KnownField] = [:]

  /// The settings document of a tenant in one exposure mode.
  struct View {
    struct Name: Hashable {
      let tenant: String
      let mode: ExposureMode
    }
    let incarnation: UInt64
    let version: UInt64
    let body: [UInt8]
    /// Unix milliseconds.
    let madeAt: Int64
    var contents: ReadVersion
  }

  func principal(_ digest: [UInt8], in structure: ReadVersion, now: Int64) -> Principal? {
    guard structure == self.structure, let known = principals[digest] else { return nil }
    if let expiry = known.expiresAt, expiry <= now { return nil }
    return known
  }

  mutating func remember(_ principal: Principal, by digest: [UInt8], in structure: ReadVersion) {
    forget(before: structure)
    principals[digest] = principal
  }

  func caller(_ digest: [UInt8], in structure: ReadVersion, now: Int64) -> AgentCaller? {
    guard structure == self.structure, let known = callers[digest] else { return nil }
    if let end = known.validUntil, end <= now { return nil }
    return known
  }

  mutating func remember(_ caller: AgentCaller, by digest: [UInt8], in structure: ReadVersion) {
    forget(before: structure)
    callers[digest] = caller
  }

  func field(_ name: KnownField.Name) -> KnownField? { fields[name] }

  mutating func remember(_ known: KnownField, as name: KnownField.Name) {
    guard !known.isRemembered, known.field.sealed.count <= Self.maximumEnvelope else { return }
    known.isRemembered = true
    if fields.count >= Self.maximumFields, fields[name] == nil { fields = [:] }
    fields[name] = known
  }

  private mutating func forget(before structure: ReadVersion) {
    guard structure != self.structure || principals.count + callers.count >= Self.maximumPrincipals else { return }
    principals = [:]
    callers = [:]
    self.structure = structure
  }

  func view(_ name: View.Name, now: Int64) -> View? {
    guard let view = views[name] else { return nil }
    // A clock that was set back makes a view as good as old.
    if name.mode == .encrypted, !(0..<Self.tokenAge).contains(now - view.madeAt) { return nil }
    return view
  }

  mutating func remember(_ view: View, as name: View.Name) {
    guard view.body.count <= Self.maximumBody else { return }
    if views.count >= Self.maximumViews, views[name] == nil { views = [:] }
    views[name] = view
  }
}

/// The current version of an encrypted field: a sealed envelope, of which no key is here. Shared, and of one thread alone: its rows
/// are not copied for each request.
final class KnownField {
  struct Name: Hashable {
    let place: ScopeKey
    let secretID: String
    let fieldKey: String
  }
  let secret: ScopedSecretRow
  let field: FieldRow
  /// When the two rows were last seen to be these.
  var contents: ReadVersion?
  /// As it is shown; nil when it was not.
  var view: FieldView?
  /// Of the key that sealed it, once checked, and when its row was last seen to be this.
  var dataKey: (row: DataKeyRow, contents: ReadVersion?)?
  fileprivate var isRemembered = false

  init(secret: ScopedSecretRow, field: FieldRow) {
    self.secret = secret
    self.field = field
  }
}

extension KnownField.Name {
  init(_ action: ScopedAction, of caller: AgentCaller) {
    self.init(place: caller.place(action.scope), secretID: action.secretID, fieldKey: action.fieldKey)
  }
}
