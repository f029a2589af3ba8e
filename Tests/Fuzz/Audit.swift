import KeyRing
import SecretMemory

private let roots = (try? RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: 7, count: 32)))).map { RootKeys($0) }
private let head = Array(#"{"format":"coffer-audit/1","tenant":"t","checkpoint":"#.utf8)

/// An export that anybody may have written, as it is and behind a first line that fits: no entry has a MAC of a key that nobody used.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  // The first 92 bytes as a checkpoint, the next 44 as a change of the root key.
  let checkpoint = bytes.count > 92 ? WireText.hexadecimal(Array("ACP1".utf8) + bytes[..<88]) : []
  let quoted = checkpoint.isEmpty ? Array("null".utf8) : [0x22] + checkpoint + [0x22]
  for export in [bytes, head + quoted + Array("}\n".utf8) + bytes.dropFirst(checkpoint.isEmpty ? 0 : 88)] {
    guard let chain = ExportedChain(export) else { continue }
    _ = chain.walk(roots: nil)
    _ = chain.walk(roots: nil, mark: AuditMark(sequence: 1, hash: Array(bytes.prefix(32))))
    if let walk = chain.walk(roots: roots) { precondition(walk.entries == 0, "an entry that nobody signed") }
  }
  return 0
}
