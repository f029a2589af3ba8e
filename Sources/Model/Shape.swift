internal import StrictJSON

/// What a value of the settings document may be. The tables of the document are made of these; validation and
/// rendering walk a value along its shape.
indirect enum Shape: Sendable {
  /// Any text of at least `minimum` bytes.
  case text(minimum: Int = 0)
  /// Text with something besides blanks.
  case filledText
  case choice([JSONString])
  case integer(IntegerRule = .any)
  case number(NumberRule = .any)
  case boolean
  /// Anything, by the truth a script language gives it.
  case truthiness
  /// A typed secret: rule R on reading, rule W on writing (spec sections 2.3, 2.4).
  case secret
  /// Names to typed secrets; entries without a value are left out (section 2.5).
  case secretMap
  /// Names to text, of which values under secret-like names are secrets (D15).
  case headerMap
  /// Any object; text below secret-like names is secret (D15).
  case screened
  /// `agent_context.secrets` (rule M).
  case contextSecrets
  /// Any object, kept as it is.
  case object
  case list(Shape)
  case map(Shape)
  case record(Record)
  /// Which record depends on a member's value.
  case tagged(Tag)
  /// One of several, the first that fits.
  case either(Shape, Shape)

  struct Tag: Sendable {
    let member: JSONString
    /// When the member is absent.
    let fallback: JSONString?
    let variants: [Variant]
  }

  struct Variant: Sendable {
    let tag: JSONString
    let record: Record
    init(_ tag: JSONString, _ record: Record) {
      self.tag = tag
      self.record = record
    }
  }
}

enum IntegerRule: Sendable { case any, atLeast(Int64), above(Int64) }
enum NumberRule: Sendable { case any, atLeast(Double), above(Double), between(Double, Double), inside(Double, Double) }

/// One member of a record.
struct Field: Sendable {
  let name: JSONString
  let shape: Shape
  /// nil: the member is required.
  let initial: JSONValue?
  let isNullable: Bool

  init(_ name: JSONString, _ shape: Shape, _ initial: JSONValue?, nullable: Bool = false) {
    self.name = name
    self.shape = shape
    self.initial = initial
    isNullable = nullable || initial == .some(.null)
  }
}

/// An object with known members.
struct Record: Sendable {
  enum Unknown: Sendable { case dropped, refused, kept }

  let fields: [Field]
  let unknown: Unknown
  /// Members that are null or an empty object are not printed (MCP servers).
  let isCompact: Bool
  /// Normalises and cross-checks; false refuses.
  let finish: @Sendable (inout JSONObject) -> Bool

  init(
    _ fields: [Field], unknown: Unknown = .dropped, isCompact: Bool = false,
    finish: @escaping @Sendable (inout JSONObject) -> Bool = { _ in true }
  ) {
    self.fields = fields
    self.unknown = unknown
    self.isCompact = isCompact
    self.finish = finish
  }
}

/// Names that people give to things that are secret (spec section 1.4).
enum SecretLike {
  private static let words = ["AUTHORIZATION", "COOKIE", "CREDENTIAL", "KEY", "PASSWORD", "SECRET", "SESSION", "TOKEN"].map {
    Array($0.utf8)
  }

  static func matches(_ name: JSONString) -> Bool {
    let upper = name.utf8.map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }
    return words.contains { word in
      upper.count >= word.count && (0...(upper.count - word.count)).contains { upper[$0..<($0 + word.count)].elementsEqual(word) }
    }
  }
}
