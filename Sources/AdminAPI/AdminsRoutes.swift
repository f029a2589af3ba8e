internal import HTTPMessages
internal import Service
internal import Store
internal import StrictJSON

// The admins (scoped spec, section 10): each is a key with a role, in the default tenant. Owners alone see, make and end them.
extension AdminAPI {
  func admins(_ request: Request) throws(AdminFailure) -> Response {
    let query = try AdminQuery(request.target.rawQuery)
    let tenant = desk.service.defaultTenant
    var found: [APIKeyRow] = []
    var last = query.after ?? ""
    while found.count < query.limit {
      let rows = try served { () throws(ServiceError) in try desk.keys(tenant: tenant, after: last, limit: AdminQuery.maximumLimit) }
      found += rows.filter { $0.kind == APIKeyKind.admin.rawValue }
      guard rows.count == AdminQuery.maximumLimit, let row = rows.last else { break }
      last = row.id
    }
    let page = Array(found.prefix(query.limit))
    return self.page(page.map { .object(AdminRendering.key($0)) }, cursor: page.count == query.limit ? page.last?.id : nil, request)
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
