internal import KeyRing
internal import Model
internal import SecretMemory
internal import Store
internal import StrictJSON

/// What one conversation token opens: custom secrets by name, and values that were given for this conversation alone.
/// Stored sealed in the collection `conversations` as `CONVERSATION/KEY ID`; the token is an API key of its own kind.
struct ConversationGrant: Sendable {
  static let collection = "conversations"
  /// Answers that one token gets.
  static let uses: Int64 = 1000

  struct Value: Sendable {
    let name: JSONString
    let text: JSONString
  }

  var names: [String] = []
  /// By number: the last part of the address that such a value is looked up at.
  var values: [Value] = []
  var createdAt: Int64
  /// Unix milliseconds; moved on by use.
  var expiresAt: Int64
  var usesLeft = Self.uses

  init(createdAt: Int64, expiresAt: Int64) {
    self.createdAt = createdAt
    self.expiresAt = expiresAt
  }

  init?(stored: JSONValue) {
    guard let object = stored.object, let names = object["names"]?.array, let values = object["values"]?.array,
      let createdAt = object["created_at"]?.number?.int64, let expiresAt = object["expires_at"]?.number?.int64,
      let usesLeft = object["uses_left"]?.number?.int64
    else { return nil }
    self.init(createdAt: createdAt, expiresAt: expiresAt)
    self.usesLeft = usesLeft
    self.names = names.compactMap { $0.string?.text }
    self.values = values.compactMap { value in
      guard let name = value.object?["name"]?.string, let text = value.object?["value"]?.string else { return nil }
      return Value(name: name, text: text)
    }
    guard self.names.count == names.count, self.values.count == values.count else { return nil }
  }

  var json: JSONValue {
    [
      "names": .array(names.map { .string(JSONString($0)) }),
      "values": .array(values.map { ["name": .string($0.name), "value": .string($0.text)] }),
      "created_at": .number(JSONNumber(createdAt)), "expires_at": .number(JSONNumber(expiresAt)),
      "uses_left": .number(JSONNumber(usesLeft)),
    ]
  }

  static func name(_ conversation: String, _ keyID: String) -> String { conversation + "/" + keyID }

  func holds(at now: Int64) -> Bool { usesLeft > 0 && now < expiresAt }
}

/// The conversation that a token speaks for, and the custom secrets it may read.
package struct ConversationReads: Sendable {
  package let conversation: String
  let names: Set<String>
}

/// What an operator sees of a grant: names, never values.
package struct ConversationSummary: Sendable {
  package let conversation: String
  package let keyID: String
  package let names: [String]
  package let createdAt: Int64
  package let expiresAt: Int64
  package let usesLeft: Int64
  /// What a list goes on after.
  package var name: String { ConversationGrant.name(conversation, keyID) }
}

extension Service {
  /// The grant that a conversation token's row names; nil once it is revoked, used up or over.
  func reads(of row: APIKeyRow, in reading: any StoreReading) throws(ServiceError) -> (reads: ConversationReads, expiresAt: Int64)? {
    guard let grant = try grant(row.role, row.id, tenant: row.tenant, in: reading)?.grant, grant.holds(at: now()) else { return nil }
    return (ConversationReads(conversation: row.role, names: Set(grant.names)), grant.expiresAt)
  }

  func grant(_ conversation: String, _ keyID: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> (
    row: DocumentRow, grant: ConversationGrant
  )? {
    let name = ConversationGrant.name(conversation, keyID)
    guard let row = try documentRow(ConversationGrant.collection, name, tenant: tenant, in: reading) else { return nil }
    return (row, try opened(row, in: reading))
  }

  private func opened(_ row: DocumentRow, in reading: any StoreReading) throws(ServiceError) -> ConversationGrant {
    guard let grant = ConversationGrant(stored: try open(row, in: reading).json()) else { throw .unreadable }
    return grant
  }

  func put(
    _ grant: ConversationGrant, _ name: String, after stored: DocumentRow?, tenant: String, in transaction: any StoreTransaction
  ) throws(ServiceError) -> DocumentRow {
    let row = try sealed(
      grant.json.serialized(), collection: ConversationGrant.collection, name: name, after: stored, tenant: tenant, in: transaction)
    do { try transaction.put(row) } catch { throw ServiceError(error) }
    return row
  }

  /// Every grant of a conversation.
  func grants(of conversation: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> [DocumentRow] {
    let prefix = conversation + "/"
    var found: [DocumentRow] = []
    while true {
      let rows: [DocumentRow]
      do {
        rows = try reading.documents(
          tenant: tenant, collection: ConversationGrant.collection, after: found.last?.name ?? prefix, limit: 100)
      } catch { throw ServiceError(error) }
      let own = rows.filter { $0.name.utf8.starts(with: prefix.utf8) }
      found += own
      if own.count < 100 { return found }
    }
  }

  // MARK: - Use

  /// Counts one use of a conversation token and moves its end on, in the transaction of the use's audit entry.
  package func recordUse(
    _ event: AuditEvent, by principal: Principal, requestID: String, completion: @escaping @Sendable (Result<Void, ServiceError>) -> Void
  ) {
    guard let reads = principal.conversation else { return completion(.failure(.unauthenticated)) }
    write(
      { transaction in
        guard let key = try transaction.apiKey(principal.keyID), key.revokedAt == nil,
          var (row, grant) = try self.grant(reads.conversation, principal.keyID, tenant: principal.tenant, in: transaction),
          grant.holds(at: self.now())
        else { throw ServiceError.unauthenticated }
        grant.usesLeft -= 1
        grant.expiresAt = max(grant.expiresAt, self.now() + self.options.conversationLife)
        row = try self.put(grant, row.name, after: row, tenant: principal.tenant, in: transaction)
        var event = event
        event.details = "{\"conversation\":\"\(reads.conversation)\"}"
        event.rows.append(RowChange(row))
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: completion)
  }

  /// Moves the end of a conversation's grants on when less than half of their life is left: whoever may steer the conversation
  /// has just done so.
  package func renewGrants(of conversation: String, by principal: Principal, requestID: String) {
    write(
      { transaction in
        var rows: [RowChange] = []
        for stored in try self.grants(of: conversation, tenant: principal.tenant, in: transaction) {
          var grant = try self.opened(stored, in: transaction)
          guard grant.holds(at: self.now()), self.isDue(grant) else { continue }
          grant.expiresAt = self.now() + self.options.conversationLife
          rows.append(RowChange(try self.put(grant, stored.name, after: stored, tenant: principal.tenant, in: transaction)))
        }
        guard !rows.isEmpty else { return }
        try self.record(
          AuditEvent("conversation.renew", subject: conversation, rows: rows), by: principal, requestID: requestID, in: transaction)
      }, completion: { _ in })
  }

  private func isDue(_ grant: ConversationGrant) -> Bool { grant.expiresAt - now() < options.conversationLife / 2 }

  // MARK: - End

  /// Ends every token of a conversation at once and deletes what was kept for it. `event` says why; without grants nothing is
  /// written unless `always`.
  package func revokeConversation(
    _ conversation: String, _ action: StaticString, always: Bool = false, by principal: Principal, requestID: String,
    completion: @escaping @Sendable (Result<Int, ServiceError>) -> Void
  ) {
    write(
      { transaction in
        let stored = try self.grants(of: conversation, tenant: principal.tenant, in: transaction)
        var rows: [RowChange] = []
        for row in stored { rows += try self.revoke(row, in: transaction) }
        if always || !stored.isEmpty {
          try self.record(AuditEvent(action, subject: conversation, rows: rows), by: principal, requestID: requestID, in: transaction)
        }
        return stored.count
      }, completion: completion)
  }

  /// Ends one token of a conversation: the request it was made for came to nothing.
  package func withdraw(_ keyID: String, of conversation: String, by principal: Principal, requestID: String) {
    write(
      { transaction in
        guard let (row, _) = try self.grant(conversation, keyID, tenant: principal.tenant, in: transaction) else { return }
        let event = AuditEvent("conversation.withdraw", subject: conversation, rows: try self.revoke(row, in: transaction))
        try self.record(event, by: principal, requestID: requestID, in: transaction)
      }, completion: { _ in })
  }

  private func revoke(_ row: DocumentRow, in transaction: any StoreTransaction) throws -> [RowChange] {
    var changes = [RowChange(deleted: RowChange.document(row.collection, row.name))]
    _ = try transaction.deleteDocument(tenant: row.tenant, collection: row.collection, name: row.name)
    let keyID = String(row.name.drop { $0 != "/" }.dropFirst())
    guard let key = try transaction.apiKey(keyID), key.revokedAt == nil else { return changes }
    changes.append(RowChange(try revoke(vault.verified(key), in: transaction)))
    return changes
  }
}

extension Desk {
  /// A value that was given for one conversation, by its number.
  package func conversationValue(_ number: Int, of conversation: String, for principal: Principal) throws(ServiceError) -> Exposure {
    guard let reads = principal.conversation else { throw .forbidden(.readSecretValue) }
    guard reads.conversation == conversation,
      let grant = try service.grant(conversation, principal.keyID, tenant: principal.tenant, in: reader)?.grant,
      grant.values.indices.contains(number)
    else { throw .notFound }
    let value = grant.values[number]
    return Exposure(value: SecretBytes(copying: value.text.utf8), event: AuditEvent("secret.read", subject: value.name.text))
  }

  /// True when a grant of the conversation should be renewed.
  package func needsRenewal(_ conversation: String, for principal: Principal) throws(ServiceError) -> Bool {
    for row in try service.grants(of: conversation, tenant: principal.tenant, in: reader) {
      guard let grant = ConversationGrant(stored: try service.open(row, in: reader).json()) else { throw .unreadable }
      if grant.holds(at: service.now()), grant.expiresAt - service.now() < service.options.conversationLife / 2 { return true }
    }
    return false
  }

  /// Grants in order of conversation.
  package func conversations(tenant: String, after name: String, limit: Int) throws(ServiceError) -> [ConversationSummary] {
    let rows: [DocumentRow]
    do {
      rows = try reader.documents(tenant: tenant, collection: ConversationGrant.collection, after: name, limit: limit)
    } catch { throw ServiceError(error) }
    var summaries: [ConversationSummary] = []
    for row in rows {
      guard let grant = ConversationGrant(stored: try service.open(row, in: reader).json()) else { throw .unreadable }
      let parts = row.name.split(separator: "/").map(String.init)
      summaries.append(
        ConversationSummary(
          conversation: parts.first ?? "", keyID: parts.last ?? "", names: grant.names + grant.values.map(\.name.text),
          createdAt: grant.createdAt, expiresAt: grant.expiresAt, usesLeft: grant.usesLeft))
    }
    return summaries
  }
}
