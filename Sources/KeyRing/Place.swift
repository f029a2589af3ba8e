/// Where a sealed value lives: every part is authenticated, so a value moved by SQL never opens.
package struct Place: Sendable {
  package var table: StaticString
  package var tenant: String
  package var id: String
  package var field: StaticString
  /// Distinguishes a re-created thing from its predecessor of the same name.
  package var incarnation: UInt64
  package var version: UInt64

  package init(table: StaticString, tenant: String, id: String, field: StaticString, incarnation: UInt64, version: UInt64) {
    self.table = table
    self.tenant = tenant
    self.id = id
    self.field = field
    self.incarnation = incarnation
    self.version = version
  }
}
