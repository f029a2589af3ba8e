internal import Model
internal import Store
internal import StrictJSON

/// Which agent server a conversation was given to, where there are several: the document `placements/CONVERSATION`,
/// `{"agent_server":NAME}`. A conversation without one belongs to the first.
enum Placement {
  static let collection = "placements"
}

extension Service {
  func placement(of conversation: String, tenant: String, in reading: any StoreReading) throws(ServiceError) -> (
    row: DocumentRow, name: String
  )? {
    let row: DocumentRow?
    do { row = try reading.document(tenant: tenant, collection: Placement.collection, name: conversation) } catch {
      throw ServiceError(error)
    }
    guard let row else { return nil }
    guard let name = try open(row, in: reading).json().object?["agent_server"]?.string?.text else { throw .unreadable }
    return (row, name)
  }

  /// Gives a conversation to an agent server unless it has one.
  ///
  /// - Returns: the name that counts, and the row when it is new.
  func place(_ conversation: String, at name: String, tenant: String, in transaction: any StoreTransaction) throws -> (String, RowChange?) {
    if let known = try placement(of: conversation, tenant: tenant, in: transaction) { return (known.name, nil) }
    let body = JSONValue.object(JSONObject(uniqueMembers: [.init(name: "agent_server", value: .string(JSONString(name)))])).serialized()
    let row = try sealed(body, collection: Placement.collection, name: conversation, after: nil, tenant: tenant, in: transaction)
    try transaction.put(row)
    return (name, RowChange(row))
  }

  /// Takes a conversation from its agent server: it never began there, or is deleted.
  package func displace(_ conversation: String, by principal: Principal, requestID: String) {
    write(
      { transaction in
        guard
          try transaction.deleteDocument(tenant: principal.tenant, collection: Placement.collection, name: conversation)
        else { return }
        let change = RowChange(deleted: RowChange.document(Placement.collection, conversation))
        try self.record(
          AuditEvent("conversation.displace", subject: conversation, rows: [change]), by: principal, requestID: requestID, in: transaction)
      }, completion: { _ in })
  }
}

extension Desk {
  /// The name of the agent server that a conversation was given to; nil when none was chosen.
  package func agentServer(of conversation: String, for principal: Principal) throws(ServiceError) -> String? {
    try service.placement(of: conversation, tenant: principal.tenant, in: reader)?.name
  }
}
