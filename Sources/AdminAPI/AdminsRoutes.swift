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

  func revokeAdmin(_ id: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let kind = try served { () throws(ServiceError) in try desk.apiKey(id)?.kind }
    guard kind == APIKeyKind.admin.rawValue else { throw .service(.notFound) }
    return revokeKey(id, request, principal)
  }
}
