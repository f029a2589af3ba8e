internal import Store

/// The newest version of each field that a secret has or had, as its row names them: `key=version`, in order of key, with a space
/// between. So the row of an earlier version is none that a field can have, whatever else the store holds.
struct NewestVersions {
  private(set) var entries: [(key: String, version: UInt64)]

  /// Keys that a secret may have had in all, so that its head has a bound whoever makes and removes fields without end: 170 KB with
  /// keys of 64 bytes, 1 KB for 60 fields with short ones.
  static let limit: Int64 = 2_000

  init() { entries = [] }

  /// nil when the text is none of ours.
  init?(_ text: String) {
    entries = []
    for entry in text.utf8.split(separator: Self.space) {
      let parts = entry.split(separator: Self.equals)
      guard parts.count == 2, let version = UInt64(Substring(parts[1])) else { return nil }
      entries.append((String(Substring(parts[0])), version))
    }
  }

  /// What the text names for one key; nil when it does not name it.
  static func version(of key: String, in text: String) -> UInt64? {
    for entry in text.utf8.split(separator: space) where entry.starts(with: key.utf8) {
      let rest = entry.dropFirst(key.utf8.count)
      if rest.first == equals { return UInt64(Substring(rest.dropFirst())) }
    }
    return nil
  }

  // Neither is in the key of a field.
  private static let space = UInt8(ascii: " ")
  private static let equals = UInt8(ascii: "=")

  var text: String {
    var text = ""
    for (key, version) in entries { Self.append(key, version, to: &text) }
    return text
  }

  /// What the secret of these rows names when each is the newest of its field.
  ///
  /// - Parameter rows: in order of key.
  static func text(_ rows: [FieldRow]) -> String {
    var text = ""
    for row in rows { append(row.fieldKey, row.version, to: &text) }
    return text
  }

  private static func append(_ key: String, _ version: UInt64, to text: inout String) {
    if !text.isEmpty { text += " " }
    text += key
    text += "="
    text += String(version)
  }

  mutating func set(_ key: String, _ version: UInt64) {
    let place = entries.firstIndex { !$0.key.utf8.lexicographicallyPrecedes(key.utf8) } ?? entries.count
    if place < entries.count, entries[place].key == key {
      entries[place].version = version
    } else {
      entries.insert((key, version), at: place)
    }
  }
}

extension Service {
  /// The row of a secret from before schema 7 with the newest versions of its fields, if each is proven; any other as it is.
  func naming(_ secret: ScopedSecretRow, in store: any StoreReading) throws -> ScopedSecretRow {
    guard secret.fieldVersions.isEmpty else { return secret }
    let rows = try store.fields(tenant: secret.place.tenant, incarnation: secret.incarnation, withValues: false)
    guard (try? newest(rows, of: secret, in: store)) != nil else { return secret }
    var secret = secret
    secret.fieldVersions = NewestVersions.text(rows)
    return secret
  }

  /// The newest version of a field, nil for none: with its MAC, and the one that its secret names.
  ///
  /// - Parameter secret: verified.
  func newest(_ row: FieldRow?, _ key: String, of secret: ScopedSecretRow, in store: any StoreReading) throws(ServiceError) -> FieldRow? {
    if !secret.fieldVersions.isEmpty, NewestVersions.version(of: key, in: secret.fieldVersions) != row?.version { throw .unreadable }
    guard let row else { return nil }
    return try verified(row, in: store)
  }

  /// The same of all fields of a secret.
  func newest(_ rows: [FieldRow], of secret: ScopedSecretRow, in store: any StoreReading) throws(ServiceError) -> [FieldRow] {
    if !secret.fieldVersions.isEmpty, NewestVersions.text(rows) != secret.fieldVersions { throw .unreadable }
    for row in rows { _ = try verified(row, in: store) }
    return rows
  }
}
