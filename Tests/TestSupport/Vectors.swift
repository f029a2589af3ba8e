internal import Glibc
package import StrictJSON

/// Test vectors: those made for this project lie in `Tests/Vectors`; third-party sets are read from `../shared/vectors`
/// beside the project when they are there.
package enum Vectors {
  private static let root = String(#filePath.dropLast("Tests/TestSupport/Vectors.swift".count))

  /// A file of the project's own.
  package static func own(_ path: String) throws -> JSONValue { try read(root + "Tests/Vectors/" + path) }

  /// A third-party file; nil, with a line that says how many cases were not run, when it is not there.
  package static func shared(_ path: String, cases: Int) throws -> JSONValue? {
    let file = root + "../shared/vectors/" + path
    guard unsafe access(file, R_OK) == 0 else {
      print("not run: \(cases) cases of \(path), which is not beside the project")
      return nil
    }
    return try read(file)
  }

  package static func read(_ path: String) throws -> JSONValue {
    let bytes = try bytes(path)
    return try JSONValue.parse(bytes, limits: JSONLimits(bytes: bytes.count, depth: 512, members: 1_000_000))
  }

  package struct Unreadable: Error { package let path: String }

  package static func bytes(_ path: String) throws -> [UInt8] {
    guard let file = unsafe fopen(path, "re") else { throw Unreadable(path: path) }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
    }
  }
}

extension JSONValue {
  package subscript(name: JSONString) -> JSONValue { object?[name] ?? .null }
  package var text: String { string?.text ?? "" }
  package var list: [JSONValue] { array ?? [] }
  package var integer: Int { number?.int64.map(Int.init) ?? 0 }
  /// The bytes that a text of hexadecimal digits stands for.
  package var hex: [UInt8] { Hex.decode(text) }
}

package enum Hex {
  package static func decode(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).map { UInt8($0 < 0x3A ? $0 - 0x30 : ($0 | 0x20) - 0x57) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
