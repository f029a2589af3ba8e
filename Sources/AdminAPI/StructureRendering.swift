internal import Model
internal import Service
internal import Store
internal import StrictJSON

// Rows of the structure as they leave. MACs never do.

extension TeamRow {
  var json: JSONObject {
    JSONObject(uniqueMembers: [
      .init(name: "id", value: AdminRendering.text(id)), .init(name: "name", value: AdminRendering.text(name)),
      .init(name: "createdAt", value: AdminRendering.time(createdAt)),
    ])
  }
}

extension ProjectRow {
  var json: JSONObject {
    JSONObject(uniqueMembers: [
      .init(name: "id", value: AdminRendering.text(id)), .init(name: "name", value: AdminRendering.text(name)),
      .init(name: "teamId", value: team.map(AdminRendering.text) ?? .null), .init(name: "createdAt", value: AdminRendering.time(createdAt)),
    ])
  }
}

extension AgentRow {
  var json: JSONObject {
    var object = JSONObject()
    object["id"] = AdminRendering.text(id)
    object["agentId"] = AdminRendering.text(id)
    object["name"] = AdminRendering.text(name)
    object["description"] = AdminRendering.text(description)
    object["disabled"] = .bool(disabledAt != nil)
    object["disabledAt"] = disabledAt.map(AdminRendering.time) ?? .null
    object["createdAt"] = AdminRendering.time(createdAt)
    object["createdBy"] = AdminRendering.text(createdBy)
    return object
  }
}

extension MembershipRow {
  var json: JSONObject {
    var object = JSONObject()
    object["agentId"] = AdminRendering.text(agent)
    object["scope"] = AdminRendering.text(scope)
    object["scopeId"] = AdminRendering.text(scopeID)
    object["role"] = AdminRendering.text(role)
    object["priority"] = .number(JSONNumber(priority))
    object["expiresAt"] = expiresAt.map(AdminRendering.time) ?? .null
    object["createdAt"] = AdminRendering.time(createdAt)
    return object
  }
}

extension AgentKeyView {
  var json: JSONObject {
    var object = JSONObject()
    object["id"] = AdminRendering.text(id)
    object["keyId"] = AdminRendering.text(id)
    object["agentId"] = AdminRendering.text(agent)
    object["name"] = AdminRendering.text(name)
    object["status"] = AdminRendering.text(status)
    object["kind"] = AdminRendering.text(isChild ? "child" : "agent")
    object["createdAt"] = AdminRendering.time(createdAt)
    object["createdBy"] = AdminRendering.text(createdBy)
    object["expiresAt"] = expiresAt.map(AdminRendering.time) ?? .null
    object["lastUsedAt"] = lastUsedAt.map(AdminRendering.time) ?? .null
    for member in grants.json.members { object[member.name] = member.value }
    if let maxUses { object["maxUses"] = .number(JSONNumber(maxUses)) }
    return object
  }
}

extension InviteRow {
  var json: JSONObject {
    var object = JSONObject()
    object["id"] = AdminRendering.text("invite_" + id)
    object["label"] = AdminRendering.text(label)
    object["memberships"] = (try? JSONValue.parse([UInt8](memberships.utf8), limits: .scoped)) ?? .null
    object["expiresAt"] = AdminRendering.time(expiresAt)
    object["maxUses"] = .number(JSONNumber(maxUses))
    object["uses"] = .number(JSONNumber(uses))
    object["createdAt"] = AdminRendering.time(createdAt)
    object["createdBy"] = AdminRendering.text(createdBy)
    object["revokedAt"] = revokedAt.map(AdminRendering.time) ?? .null
    return object
  }
}

extension AdminRendering {
  /// Metadata of a secret. No field shows what it holds.
  static func secret(_ view: SecretView) -> JSONObject {
    var object = JSONObject()
    object["tenantId"] = text(view.tenant)
    object["scope"] = text(view.scope.kind.rawValue)
    object["scopeId"] = text(view.scope.id)
    object["secretId"] = text(view.id)
    object["secretName"] = text(view.name)
    object["category"] = text(view.category)
    object["tags"] = .array(view.tags.map(text))
    object["fields"] = .array(
      view.fields.map { field in
        [
          "key": text(field.key), "fieldKey": text(field.key), "sensitivity": text(field.sensitivity.rawValue),
          "fieldVersion": .number(JSONNumber(field.version)), "updatedAt": time(field.updatedAt),
        ]
      })
    object["revision"] = .number(JSONNumber(view.revision))
    object["createdAt"] = time(view.createdAt)
    object["updatedAt"] = time(view.updatedAt)
    object["createdBy"] = text(view.createdBy)
    object["updatedBy"] = text(view.updatedBy)
    return object
  }
}
