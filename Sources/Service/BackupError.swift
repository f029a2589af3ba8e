internal import Store

/// Why a backup is not made, or not taken. Nothing was changed.
package enum BackupError: Error, Sendable, Equatable {
  /// Something with the name is there.
  case exists
  /// No regular file has the name.
  case notAFile
  /// Empty, cut off, or made by something else.
  case notABackup
  /// Made by a store with the root key of this id.
  case otherRootKey(String)
  /// The seal does not fit: a bit was changed.
  case damaged
  /// A newer program made it.
  case newerSchema(found: Int, supported: Int)
  /// The path names no place where this process may write.
  case notWritable
  case diskFull
  /// Another backup is being made.
  case busy
  /// The store cannot be read, or the audit entry cannot be written.
  case unavailable
  /// The store itself is damaged.
  case storeDamaged

  init(_ error: StoreError) {
    switch error {
    case .conflict: self = .exists
    case .busy: self = .busy
    case .unavailable(.diskFull): self = .diskFull
    case .unavailable(.readOnly): self = .notWritable
    case .unavailable(.draining), .unavailable(.ioError), .unknownOutcome, .locked, .networkFileSystem: self = .unavailable
    case .corrupt: self = .storeDamaged
    case .newerSchema(let found, let supported): self = .newerSchema(found: found, supported: supported)
    }
  }

  /// What is wrong with the file at `path`, and what to do.
  package func message(_ path: String) -> String {
    switch self {
    case .exists: "\(path) is there already; name another file, or give --force to replace an earlier backup"
    case .notAFile: "\(path) is no regular file"
    case .notABackup: "\(path) is no backup made by `coffer backup`, or its end is missing"
    case .otherRootKey(let id): "\(path) was made with another root key (id \(id)); restore that key first"
    case .damaged: "\(path) is damaged: its seal does not fit what it holds; use another backup"
    case .newerSchema(let found, let supported):
      "\(path) was made by a newer Coffer (schema \(found), this one knows up to \(supported)); install the newer one"
    case .notWritable: "\(path) cannot be written by the account that runs cofferd"
    case .diskFull: "the disk is full; nothing is left of the file"
    case .busy: "a backup is being made already; wait for it"
    case .unavailable: "the store cannot be read or its audit cannot be written now"
    case .storeDamaged: "the store is damaged and was not copied; run: coffer verify"
    }
  }
}
