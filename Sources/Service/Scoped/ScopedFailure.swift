package import Model
internal import Store

/// Why a use case of the scoped dialect or of the operator's structure fails, with what must be in the audit chain before
/// the caller is told. Neither holds a value.
package struct ScopedFailure: Error, Sendable {
  package let refusal: Refusal
  package let denial: AuditEvent?

  package init(_ refusal: Refusal, denial: AuditEvent? = nil) {
    self.refusal = refusal
    self.denial = denial
  }

  package init(code: ErrorCode) { self.init(Refusal(code)) }

  /// The one mapping from the other use cases' failures.
  package init(_ error: ServiceError) {
    switch error {
    case .unauthenticated: self.init(code: .unauthenticated)
    case .forbidden: self.init(code: .capabilityMissing)
    case .notFound, .absent: self.init(code: .notFound)
    case .taken, .limitReached, .referenced, .conflict, .obstructed: self.init(code: .conflict)
    case .danglingConnection, .emptyChange, .keyNotClearable, .invalidAgentProfile, .unusableAgentProfile, .invalidSecretName, .invalidBody,
      .invalidSettings,
      .tokensDoNotOpen, .valueTooLong:
      self.init(code: .validationFailed)
    case .preconditionFailed: self.init(code: .preconditionFailed)
    case .sealed: self.init(code: .sealed)
    case .unreadable, .storageFull, .unavailable, .busy: self.init(code: .unavailable)
    case .internalFailure: self.init(code: .internalError)
    }
  }

  init(_ error: any Error) {
    switch error {
    case let error as ScopedFailure: self = error
    case let error as Refusal: self.init(error, denial: nil)
    default: self.init(ServiceError(error))
    }
  }
}

/// Runs what throws anything and lets a `ScopedFailure` out.
func scoped<T>(_ body: () throws -> T) throws(ScopedFailure) -> T {
  do { return try body() } catch { throw ScopedFailure(error) }
}

/// What a request brings along for the audit chain.
package struct RequestOrigin: Sendable {
  package let id: String
  /// As nginx saw it.
  package let address: String

  package init(id: String, address: String) {
    self.id = id
    self.address = address
  }
}
