import Configuration

/// A configuration file before the first 0xFF, variables behind each, with the common prefix or one of an agent server's: refused in words that hold none of the bytes, or read the same again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let parts = Array(UnsafeBufferPointer(start: start, count: count)).split(separator: 0xFF, omittingEmptySubsequences: false).map {
    Array($0)
  }
  let environment = parts.dropFirst().map { part in
    part.starts(with: "OH_".utf8) || part.starts(with: "SESSION_".utf8) ? part : Array("COFFER_".utf8) + part
  }
  do {
    let read = try Configuration.load(arguments: ["--dir", "/d"], environment: environment, readFile: { _ in parts[0] })
    let again = try? Configuration.load(arguments: ["--dir", "/d"], environment: environment, readFile: { _ in parts[0] })
    precondition(again?.shown == read.shown, "read differently the second time")
  } catch {
    precondition(
      error.message.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && error.message.utf8.count < 1000, "a message that is not one line")
  }
  return 0
}
