package import Model
internal import Store
package import StrictJSON

extension StructureTransaction {
  package func changeSettings(_ changes: JSONObject) throws -> TenantSettings {
    var settings = try settings
    try settings.apply(changes)
    var row = try service.vault.verifiedTenant(tenant, in: store)
    guard row.settings != settings.stored else { return settings }
    row.settings = settings.stored
    row.mac = try service.vault.mac(of: row)
    try store.update(row)
    try record("tenant.settings", tenant, details.with("changed", changes.members.map(\.name.text).sorted()))
    return settings
  }
}
