internal import EventLog
internal import Glibc
internal import Responder
internal import Service
internal import Store

extension StartError {
  /// What failed and what to do.
  var message: String {
    switch self {
    case .notInitialised: "the directory holds no store; run `coffer init --dir D` first"
    case .alreadyInitialised: "the directory holds a store already"
    case .wrongRootKey: "the root key is not the one this store was made with; nothing was changed"
    case .cipher: "libcrypto refused to work"
    case .store(let error): error.message
    }
  }
}

extension StoreError {
  var message: String {
    switch self {
    case .conflict: "the store is in an unexpected state"
    case .busy: "the store is busy"
    case .unavailable(.diskFull): "the disk is full"
    case .unavailable(.readOnly): "the store's directory cannot be written; check its owner and mode"
    case .unavailable(.draining): "the store is closing"
    case .unavailable(.ioError): "reading or writing the store failed"
    case .unknownOutcome(let code): "a write to the disk failed with an unknown outcome (SQLite's extended code \(code))"
    case .corrupt: "the store is damaged or is not a Coffer store; restore a backup"
    case .newerSchema(let found, let supported):
      """
      a newer version has written this store: it has schema \(found), this program knows up to \(supported); install that version or a \
      later one, or restore a backup made before the upgrade; nothing was changed
      """
    case .locked: "another process has the store"
    case .networkFileSystem: "the store lies on a network file system, where its locks do not hold"
    }
  }
}

extension ResponderError {
  var message: String {
    switch self {
    case .pathTooLong(let path): "the socket path \(path) is too long; a unix socket's path holds 107 bytes"
    case .system(let call, let code): "\(call) failed: \(unsafe String(cString: strerror(code)))"
    }
  }
}

extension Event {
  init(_ sealing: Sealing) {
    switch sealing {
    case .sealed(let isRecorded): self = .sealed(isRecorded: isRecorded)
    case .unsealed: self = .unsealed
    }
  }
}

extension CanaryEvent {
  init(_ alert: CanaryAlert) {
    self.init(
      tenant: alert.tenant, secret: alert.secret, fieldKey: alert.fieldKey, action: "\(alert.action)",
      actor: alert.principal.actor.rawValue, actorID: alert.principal.actorID, keyID: alert.principal.keyID, address: alert.origin.address,
      requestID: alert.origin.id)
  }
}
