internal import HTTPMessages
internal import Model
internal import Service
internal import StrictJSON

/// Canary secrets: marked by an operator, used by nobody; whoever reads one raises an alert (docs/operations.md).
extension AdminAPI {
  func canaries(_ tenant: String, _ request: Request) throws(AdminFailure) -> Response {
    let canaries = try refused { () throws(ScopedFailure) in try desk.canaries(tenant: tenant) }
    return try page(of: canaries, key: \.key, json: { .object($0.json) }, request)
  }

  /// A custom secret of the settings dialect.
  func setCanary(_ isCanary: Bool, secret text: String, _ tenant: String, _ request: Request, _ principal: Principal) throws(AdminFailure)
    -> Answer
  {
    guard let name = SecretName(Array(text.utf8)) else { throw .refused(.invalid("/name", "the name of a custom secret")) }
    return structure(tenant, request, principal) { change in
      .object(try change.setCanary(secret: name, isCanary).json(isCanary: isCanary))
    }
  }

  /// A secret of the scoped dialect.
  func setCanary(_ isCanary: Bool, _ parameters: [String], _ tenant: String, _ request: Request, _ principal: Principal)
    throws(AdminFailure) -> Answer
  {
    let scope = try Self.scope(parameters)
    let id = parameters[3]
    return structure(tenant, request, principal) { change in
      .object(try change.setCanary(scope, id, isCanary).json(isCanary: isCanary))
    }
  }
}

extension CanaryView {
  /// Custom secrets come first.
  fileprivate var key: String { if case .custom = secret { "0/" + mark } else { "1/" + mark } }

  fileprivate var json: JSONObject {
    var object = place
    object["alerts"] = .number(JSONNumber(alerts))
    object["lastAlertAt"] = lastAlertAt.map(AdminRendering.time) ?? .null
    return object
  }

  fileprivate func json(isCanary: Bool) -> JSONObject {
    var object = place
    object["canary"] = .bool(isCanary)
    return object
  }

  private var place: JSONObject {
    var object = JSONObject()
    switch secret {
    case .custom(let name):
      object["dialect"] = "settings"
      object["name"] = AdminRendering.text(name)
    case .scoped(let scope, let id, let isDeleted):
      object["dialect"] = "scoped"
      object["scope"] = AdminRendering.text(scope.kind.rawValue)
      object["scopeId"] = AdminRendering.text(scope.id)
      object["secretId"] = AdminRendering.text(id)
      object["deleted"] = .bool(isDeleted)
    }
    return object
  }
}
