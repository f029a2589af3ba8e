import StrictJSON

/// Any bytes: refused, or a value that writes and reads back to itself.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let value = try? JSONValue.parse(bytes, limits: .settings) else { return 0 }
  guard let again = try? JSONValue.parse(value.serialized(), limits: JSONLimits(bytes: 1 << 24, depth: 64, members: 10_000)) else {
    preconditionFailure("what was written is not read")
  }
  precondition(again == value, "what was written reads as something else")
  return 0
}
