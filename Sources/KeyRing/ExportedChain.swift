internal import StrictJSON

/// What `coffer audit export` writes: JSON objects, one a line, the first of the chain and each other of an entry. Anybody may have
/// written the bytes.
package struct ExportedChain {
  package let tenant: String
  /// The key that made the MACs; nil in exports of before the first root key could be changed.
  package let rootKeyID: String?

  private let checkpoint: [UInt8]?
  private let rootChange: [UInt8]?
  private let entries: ArraySlice<ArraySlice<UInt8>>

  /// nil when the first line is none of an export.
  package init?(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: 0x0A)
    guard let first = lines.first.flatMap(Self.object), first["format"] == "coffer-audit/1", let tenant = first["tenant"]?.string?.text,
      let checkpoint = first["checkpoint"]
    else { return nil }
    self.tenant = tenant
    rootKeyID = first["rootKeyId"]?.string?.text
    self.checkpoint = Self.record(checkpoint)
    rootChange = Self.record(first["rootChange"] ?? .null)
    entries = lines.dropFirst()
  }

  /// The walk over all entries, to its end; nil when a line is no entry.
  ///
  /// - Parameters:
  ///   - roots: whose MACs to check; nil checks the links alone.
  ///   - mark: an older head that the chain must still hold.
  package func walk(roots: RootKeys?, mark: AuditMark? = nil) -> AuditWalk? {
    var walk = AuditWalk(tenant: tenant, checkpoint: checkpoint, rootChange: rootChange, roots: roots, mark: mark)
    for line in entries {
      guard let entry = Self.object(line) else {
        if walk.firstBad == nil { return nil }
        break
      }
      guard walk.take(Self.fields(entry), hash: Self.bytes(entry["hash"]), mac: Self.bytes(entry["mac"])) else { break }
    }
    walk.end()
    return walk
  }

  private static func object(_ line: ArraySlice<UInt8>) -> JSONObject? {
    (try? JSONValue.parse(Array(line), limits: JSONLimits(bytes: 1 << 20, depth: 4, members: 64)))?.object
  }

  private static func fields(_ entry: JSONObject) -> AuditLink.Fields {
    let names: [JSONString] = [
      "tenant", "at", "actorType", "actorId", "keyId", "action", "scope", "scopeId", "secretId", "fieldKey", "revision", "outcome",
      "requestId", "details",
    ]
    return AuditLink.Fields(
      sequence: UInt64(bitPattern: entry["sequence"]?.number?.int64 ?? -1), texts: names.map { entry[$0]?.string?.text ?? "" })
  }

  private static func bytes(_ value: JSONValue?) -> [UInt8] { value?.string.flatMap { WireText.decodeHexadecimal($0.text) } ?? [] }

  /// Bytes that are none of ours when it is no text of hexadecimal digits.
  private static func record(_ value: JSONValue) -> [UInt8]? {
    value.string.flatMap { WireText.decodeHexadecimal($0.text) } ?? (value.isNull ? nil : [])
  }
}
