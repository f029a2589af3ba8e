internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import Store
internal import StrictJSON

/// `/admin/v1/tenants` and `/admin/v1/tenants/{tenant}`.
extension AdminAPI {
  func tenants(_ request: Request) throws(AdminFailure) -> Response {
    let query = try ListQuery(request, desk)
    let rows = try served { () throws(ServiceError) in try desk.tenants(after: query.after, limit: query.fetched) }
    return try page(query, rows, key: \.id, json: rendered, request)
  }

  func rendered(_ row: TenantRow) -> JSONValue { AdminRendering.tenant(row, isDefault: row.id == desk.service.defaultTenant) }

  func createTenant(_ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let name = try AdminBody.name(try AdminBody.object(request, members: ["name"]))
    let service = desk.service
    return .later { send in
      service.createTenant(name: name, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { row in
          Self.ok(AdminRendering.tenant(row, isDefault: false), request, at: now, status: 201)
        }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  func renameTenant(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let name = try AdminBody.name(try AdminBody.object(request, members: ["name"]))
    let service = desk.service
    return .later { send in
      service.renameTenant(tenant, to: name, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { row in
          Self.ok(AdminRendering.tenant(row, isDefault: row.id == service.defaultTenant), request, at: now)
        }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }

  /// `?confirm=NAME` must be the tenant's name: nothing brings a deleted tenant back.
  func deleteTenant(_ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure) -> Answer {
    let row = try served { () throws(ServiceError) in try desk.tenant(tenant) }
    guard let name = request.target.queryValue("confirm"), name == row.name else {
      throw .invalid("confirm must be the tenant's name: nothing brings a deleted tenant back.")
    }
    let service = desk.service
    return .later { send in
      service.deleteTenant(tenant, named: name, by: principal, requestID: request.id) { result in
        let now = service.now()
        let response = result.map { isErased in
          let data: JSONValue = ["id": AdminRendering.text(tenant), "isDeleted": true, "isErased": .bool(isErased)]
          return Self.ok(data, request, at: now)
        }
        send(Self.response(response.mapError(AdminFailure.service), request, at: now))
      }
    }
  }
}
