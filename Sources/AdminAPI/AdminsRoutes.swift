internal import HTTPMessages
internal import Service
internal import Store
internal import StrictJSON

// The admins (scoped spec, section 10): each is a key with a role, in the default tenant. Owners alone see, make and end them.
extension AdminAPI {
  func admins(_ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    let tenant = desk.service.defaultTenant
    var found: [APIKeyRow] = []
    var last = query.after
    while found.count < query.fetched {
      let rows = try served { () throws(ServiceError) in try desk.keys(tenant: tenant, after: last, limit: ListQuery.Bound.rows.maximum) }
      found += rows.filter { $0.kind == APIKeyKind.admin.rawValue }
      guard rows.count == ListQuery.Bound.rows.maximum, let row = rows.last else { break }
      last = row.id
    }
    return try page(query, found, key: \.id, json: { .object(AdminRendering.key($0)) }, request)
  }

  /// Another key with an admin's name and role, which the first one does not take along when it ends.
  func createAdminKey(_ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let row = try admin(id)
    guard let role = OperatorRole(rawValue: row.role) else { throw .service(.unreadable) }
    let wanted = try AdminBody.keyRequest(request, of: row, role, now: desk.service.now())
    return create(wanted, desk.service.defaultTenant, request, principal)
  }

  func revokeAdmin(_ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    try revokeKey(admin(id).id, request, principal)
  }

  private func admin(_ id: String) throws(AdminFailure) -> APIKeyRow {
    let found = try served { () throws(ServiceError) in try desk.apiKey(id) }
    guard let row = found, row.kind == APIKeyKind.admin.rawValue, row.revokedAt == nil else { throw .service(.notFound) }
    return row
  }
}
