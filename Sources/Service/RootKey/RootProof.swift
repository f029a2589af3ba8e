package import KeyRing
internal import SecretMemory
internal import Store

/// Whether a root key opens everything that hangs on it: read anew, with no other key at hand.
package struct RootProof: Sendable {
  package fileprivate(set) var keks = 0
  /// Rows that were opened or verified, some of each KEK version.
  package fileprivate(set) var rows = 0
  /// What did not open, `TENANT/TABLE/ID`; the first of them.
  package fileprivate(set) var failures: [String] = []
  package var isGood: Bool { failures.isEmpty }

  fileprivate mutating func check(_ place: String, _ holds: () throws -> Bool) {
    rows += 1
    if (try? holds()) == true { return }
    if failures.count < Self.maximumFailures { failures.append(place) }
  }

  private static let maximumFailures = 100
}

extension Service {
  /// Rows of a kind that are opened for each KEK version, and API keys, teams and others for each tenant.
  private static let samples = 8

  /// Opens every KEK version with `root` alone, and a sample of what each version seals. Blocks its thread.
  package func proveRoot(_ root: RootKey) throws(ServiceError) -> RootProof {
    do {
      let reader = try store.makeReader()
      let roots = RootKeys(root)
      var proof = RootProof()
      var last = ""
      while true {
        let tenants = try reader.tenants(after: last, limit: 100)
        for tenant in tenants {
          proof.check(tenant.id + "/tenants") { try roots.verify(rowMAC: tenant.mac, of: tenant.macMessage) }
          try prove(tenant.id, roots, reader, &proof)
          last = tenant.id
        }
        if tenants.count < 100 { return proof }
      }
    } catch { throw ServiceError(error) }
  }

  private func prove(_ tenant: String, _ roots: RootKeys, _ reader: any StoreReader, _ proof: inout RootProof) throws {
    let limit = Self.samples
    for kek in try reader.allKEKs(of: tenant) {
      if kek.isDisabled {
        prove([kek], "keks/\(kek.version)")
        continue
      }
      proof.keks += 1
      let keys = roots.key(kek.rootKeyID).flatMap { root in
        try? TenantKeys(unwrapping: kek.wrapped, tenant: tenant, kekID: kek.kekID, version: kek.version, root: root)
      }
      proof.check("\(tenant)/keks/\(kek.version)") { try keys != nil && roots.verify(rowMAC: kek.mac, of: kek.macMessage) }
      if let keys { Self.prove(try reader.samples(tenant: tenant, kekVersion: kek.version, limit: limit), keys, &proof) }
    }
    func prove(_ rows: [some RootSealedRow], _ table: String) {
      for row in rows { proof.check("\(tenant)/\(table)") { try roots.verify(rowMAC: row.mac, of: row.macMessage) } }
    }
    prove(try reader.apiKeys(tenant: tenant, after: "", limit: limit), "api_keys")
    prove(try reader.keyUses(tenant: tenant, after: "", limit: limit), "key_uses")
    prove(try reader.canaryAlerts(tenant: tenant, after: "", limit: limit), "canary_alerts")
    prove(try reader.idempotentAnswers(tenant: tenant, after: [], limit: limit), "idempotency")
    prove(try reader.teams(tenant: tenant, after: "", limit: limit), "teams")
    prove(try reader.projects(tenant: tenant, after: "", limit: limit), "projects")
    prove(try reader.invites(tenant: tenant, after: "", limit: limit), "invites")
    let agents = try reader.agents(tenant: tenant, after: "", limit: limit)
    prove(agents, "agents")
    for agent in agents { prove(try reader.memberships(tenant: tenant, agent: agent.id), "memberships") }
    if let change = try reader.auditRootChange(tenant: tenant) {
      proof.check(tenant + "/audit") { AuditRootChange.isGenuine(change, tenant: tenant, roots: roots) }
    }
  }

  /// Each row's MAC or seal is under a key of the KEK, so that none holds under another.
  private static func prove(_ rows: KEKSamples, _ keys: TenantKeys, _ proof: inout RootProof) {
    for row in rows.documents {
      proof.check("\(row.tenant)/documents/\(row.collection)/\(row.name)") { try keys.open(row).count >= 0 }
    }
    for row in rows.secrets {
      proof.check("\(row.tenant)/secrets/\(row.name)") {
        try keys.verify(row)
        return try keys.open(row).count >= 0
      }
    }
    for row in rows.scopedSecrets {
      proof.check("\(row.place.tenant)/scoped_secrets/\(row.secretID)") { constantTimeEqual(try keys.mac(of: row), row.mac) }
    }
    for row in rows.fields {
      proof.check("\(row.tenant)/fields/\(row.fieldKey)") { constantTimeEqual(try keys.mac(of: row), row.mac) }
    }
    for row in rows.dataKeys {
      proof.check("\(row.tenant)/data_keys/\(row.fieldKey)") { constantTimeEqual(try keys.mac(of: row), row.mac) }
    }
  }
}
