/// The version of this program, as semantic versioning has it.
package enum Release {
  package static let version = "0.1.0"
}
