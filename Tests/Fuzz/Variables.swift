import EnvironmentFiles
import SecretMemory

/// A file of variables: refused, or values that every format writes or refuses, and that dotenv reads back as they were.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let file = try? DotenvFile(parsing: SecretBytes(copying: bytes)) else { return 0 }
  for format in VariableFormat.allCases {
    guard let text = try? format.text(of: file.variables), format == .dotenv else { continue }
    guard let again = try? DotenvFile(parsing: text) else { preconditionFailure("what was written is not read") }
    precondition(again.variables.map(\.name) == file.variables.map(\.name), "other names")
    precondition(zip(again.variables, file.variables).allSatisfy { $0.value == $1.value }, "other values")
  }
  return 0
}
