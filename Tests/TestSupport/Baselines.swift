internal import Glibc
package import StrictJSON

/// The frozen stores of released schemas (Tests/Baselines/README.md).
package enum Baselines {
  private static let root = String(#filePath.dropLast("TestSupport/Baselines.swift".count)) + "Baselines/schema-"

  /// From 1 without gaps.
  package static let schemas: [Int] = Array((1...1000).prefix { unsafe access(root + "\($0)", F_OK) == 0 })

  package static func file(_ name: String, schema: Int) throws -> [UInt8] { try Vectors.bytes(root + "\(schema)/" + name) }

  package static func expected(schema: Int) throws -> JSONValue { try Vectors.read(root + "\(schema)/expected.json") }
}
