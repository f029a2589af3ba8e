package import Store

/// One thing that is not as it should be: where it is, never what is stored there.
package struct VerificationFinding: Sendable, Equatable {
  package enum Problem: String, Sendable, CaseIterable {
    /// The file's structure is broken, or holds what Coffer did not make.
    case damaged
    /// A plain column was changed: the row's MAC does not fit.
    case changed
    /// The sealed part does not open in its place.
    case doesNotOpen = "does_not_open"
    /// The row is another one than the chain names last: an older one was put back.
    case notTheNewest = "not_the_newest"
    /// The chain says that the row was deleted.
    case deletedBefore = "deleted_before"
    /// The chain names no such row.
    case unknown
    /// The chain names a row that is not there.
    case missing
    /// An audit entry is missing, was changed, or stands in another place.
    case brokenChain = "broken_chain"
    /// A head that was kept elsewhere is not in the chain: its end was cut off, or the whole store is an older one.
    case cutOff = "cut_off"

    package var text: String {
      switch self {
      case .damaged: "is damaged"
      case .changed: "was changed outside Coffer"
      case .doesNotOpen: "does not open with its key"
      case .notTheNewest: "is not the newest version that the audit chain names"
      case .deletedBefore: "was deleted, says the audit chain, and is there"
      case .unknown: "is not named by the audit chain"
      case .missing: "is named by the audit chain and is not there"
      case .brokenChain: "does not fit into the audit chain"
      case .cutOff: "is a head that was kept, and is not in the audit chain"
      }
    }
  }

  /// Id of the tenant; empty for the store as a whole.
  package let tenant: String
  /// `secrets/NAME`, `api_keys/ID`, `COLLECTION/NAME`, `keks/VERSION`, `audit/SEQUENCE`, `tenants/ID`, or a part of the file.
  package let place: String
  package let problem: Problem
}

/// What a verification saw.
package struct VerificationReport: Sendable {
  /// Beyond this many, findings are only counted.
  static let findingLimit = 1000

  package var tenants = 0
  package var apiKeys = 0
  package var secrets = 0
  package var documents = 0
  package var auditEntries = 0
  package private(set) var findings: [VerificationFinding] = []
  package private(set) var findingCount = 0
  /// The audit heads, to be compared with those that a backup told.
  package var chains: [StoreCopy.Chain] = []

  package var isSound: Bool { findingCount == 0 }

  mutating func add(_ problem: VerificationFinding.Problem, _ place: String, tenant: String) {
    findingCount += 1
    guard findings.count < Self.findingLimit else { return }
    findings.append(VerificationFinding(tenant: tenant, place: place, problem: problem))
  }
}
