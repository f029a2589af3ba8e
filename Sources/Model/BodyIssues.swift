internal import StrictJSON

/// What is wrong with a body, every fault at once and with its place, in the words of the recorded server (settings spec,
/// section 1.4). `Validator` decides what is accepted; this only says why something is not.
struct BodyIssues {
  /// Every member may be absent or null, as in a merge patch.
  let isSparse: Bool
  private(set) var issues: [ValidationIssue] = []

  static func of(_ value: JSONValue, as record: Record, at location: [ValidationIssue.Step], isSparse: Bool = false) -> [ValidationIssue] {
    var walk = BodyIssues(isSparse: isSparse)
    walk.record(record, value, location)
    return walk.issues
  }

  private init(isSparse: Bool) { self.isSparse = isSparse }

  private mutating func record(_ record: Record, _ value: JSONValue, _ location: [ValidationIssue.Step]) {
    guard let object = value.object else { return issues.append(.notObject(location)) }
    for field in record.fields {
      let place = location + [.name(field.name)]
      switch object[field.name] {
      case nil: if field.initial == nil, !isSparse || location.count > 1 { issues.append(.missing(place)) }
      case .null?:
        if !field.isNullable, !isSparse || location.count > 1 { issues.append(contentsOf: Self.typeIssue(field.shape, place)) }
      case let member?: check(field.shape, member, place)
      }
    }
    guard record.unknown == .refused else { return }
    for member in object.members where !record.fields.contains(where: { $0.name == member.name }) {
      issues.append(.unknownMember(location + [.name(member.name)]))
    }
  }

  private mutating func check(_ shape: Shape, _ value: JSONValue, _ location: [ValidationIssue.Step]) {
    switch shape {
    case .text(let minimum):
      guard let text = value.string else { return issues.append(.notText(location)) }
      if text.utf8.count < minimum { issues.append(.tooShort(location, minimum: minimum)) }
    case .filledText:
      guard let text = value.string else { return issues.append(.notText(location)) }
      if text.isBlank { issues.append(.valueError(location, "Tool name cannot be empty")) }
    case .secret: if value.string == nil { issues.append(.notText(location)) }
    case .choice(let choices):
      if !choices.contains(where: { value.string == $0 }) { issues.append(Self.choiceIssue(choices, location)) }
    case .integer(let rule): if (try? Lax.integer(value, rule)) == nil { issues.append(Self.integerIssue(value, rule, location)) }
    case .number(let rule): if (try? Lax.number(value, rule)) == nil { issues.append(Self.numberIssue(value, rule, location)) }
    case .boolean:
      guard (try? Lax.boolean(value)) == nil else { return }
      issues.append(.notBoolean(value, location))
    case .truthiness: break
    case .secretMap, .headerMap:
      members(value, location) { walk, member, place in
        if member.string == nil, !(walk.isSparse && location.count == 2 && member.isNull) { walk.issues.append(.notText(place)) }
      }
    case .map(let shape): members(value, location) { $0.check(shape, $1, $2) }
    case .screened, .object, .contextSecrets: if value.object == nil { issues.append(.notDictionary(location)) }
    case .list(let shape):
      guard let elements = value.array else { return issues.append(.notList(location)) }
      for (index, element) in elements.enumerated() { check(shape, element, location + [.index(index)]) }
    case .record(let record): self.record(record, value, location)
    case .tagged(let tag): tagged(tag, value, location)
    case .either(let first, let second):
      if BodyIssues.of(value, as: first, location).isEmpty { return }
      issues.append(contentsOf: BodyIssues.of(value, as: second, location))
    }
  }

  private static func of(_ value: JSONValue, as shape: Shape, _ location: [ValidationIssue.Step]) -> [ValidationIssue] {
    var walk = BodyIssues(isSparse: false)
    walk.check(shape, value, location)
    return walk.issues
  }

  private mutating func members(
    _ value: JSONValue, _ location: [ValidationIssue.Step], _ body: (inout BodyIssues, JSONValue, [ValidationIssue.Step]) -> Void
  ) {
    guard let object = value.object else { return issues.append(.notDictionary(location)) }
    for member in object.members { body(&self, member.value, location + [.name(member.name)]) }
  }

  private mutating func tagged(_ tag: Shape.Tag, _ value: JSONValue, _ location: [ValidationIssue.Step]) {
    guard let object = value.object else { return issues.append(.notObject(location)) }
    let named = object[tag.member] ?? tag.fallback.map(JSONValue.string)
    guard let name = named else {
      let text = "Unable to extract tag using discriminator '\(tag.member.text)'"
      return issues.append(
        .other("union_tag_not_found", location, text, ValidationIssue.context("discriminator", .string(JSONString("'\(tag.member.text)'"))))
      )
    }
    guard let variant = tag.variants.first(where: { name.string == $0.tag }) else {
      let expected = tag.variants.map { "'\($0.tag.text)'" }.joined(separator: ", ")
      let text = "Input tag found using '\(tag.member.text)' does not match any of the expected tags: \(expected)"
      return issues.append(.other("union_tag_invalid", location, text))
    }
    record(variant.record, value, location + [.name(variant.tag)])
  }

  // MARK: - Texts

  private static func typeIssue(_ shape: Shape, _ location: [ValidationIssue.Step]) -> [ValidationIssue] {
    let found = of(.null, as: shape, location)
    return found.isEmpty ? [.notText(location)] : found
  }

  private static func choiceIssue(_ choices: [JSONString], _ location: [ValidationIssue.Step]) -> ValidationIssue {
    let quoted = choices.map { "'\($0.text)'" }
    let expected = quoted.count < 2 ? quoted.joined() : quoted.dropLast().joined(separator: ", ") + " or " + (quoted.last ?? "")
    return .other(
      "literal_error", location, "Input should be " + expected, ValidationIssue.context("expected", .string(JSONString(expected))))
  }

  private static func integerIssue(_ value: JSONValue, _ rule: IntegerRule, _ location: [ValidationIssue.Step]) -> ValidationIssue {
    guard (try? Lax.integer(value, .any)) == nil else {
      switch rule {
      case .any: return .other("int_type", location, "Input should be a valid integer")
      case .atLeast(let least): return bound("greater_than_equal", "greater than or equal to", "ge", JSONNumber(least), location)
      case .above(let limit): return bound("greater_than", "greater than", "gt", JSONNumber(limit), location)
      }
    }
    switch value {
    case .string:
      return .other("int_parsing", location, "Input should be a valid integer, unable to parse string as an integer")
    case .number:
      return .other("int_from_float", location, "Input should be a valid integer, got a number with a fractional part")
    case .null, .bool, .array, .object: return .other("int_type", location, "Input should be a valid integer")
    }
  }

  private static func numberIssue(_ value: JSONValue, _ rule: NumberRule, _ location: [ValidationIssue.Step]) -> ValidationIssue {
    guard (try? Lax.number(value, .any)) == nil else {
      switch rule {
      case .any: return .other("float_type", location, "Input should be a valid number")
      case .atLeast(let least): return bound("greater_than_equal", "greater than or equal to", "ge", decimal(least), location)
      case .above(let limit): return bound("greater_than", "greater than", "gt", decimal(limit), location)
      case .between(let least, let most):
        if (try? Lax.number(value, .atLeast(least))) == nil { return numberIssue(value, .atLeast(least), location) }
        return bound("less_than_equal", "less than or equal to", "le", decimal(most), location)
      case .inside(let lower, let upper):
        if (try? Lax.number(value, .above(lower))) == nil { return numberIssue(value, .above(lower), location) }
        return bound("less_than", "less than", "lt", decimal(upper), location)
      }
    }
    return value.string == nil
      ? .other("float_type", location, "Input should be a valid number")
      : .other("float_parsing", location, "Input should be a valid number, unable to parse string as a number")
  }

  private static func decimal(_ number: Double) -> JSONNumber { JSONNumber(validated: Array("\(number)".utf8)) }

  private static func bound(
    _ type: StaticString, _ words: String, _ name: JSONString, _ limit: JSONNumber, _ location: [ValidationIssue.Step]
  ) -> ValidationIssue {
    let shown = String(decoding: limit.text, as: UTF8.self)
    let text = shown.hasSuffix(".0") ? String(shown.dropLast(2)) : shown
    return .other(type, location, "Input should be \(words) \(text)", ValidationIssue.context(name, .number(limit)))
  }
}
