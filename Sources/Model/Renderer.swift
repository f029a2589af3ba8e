internal import StrictJSON

/// Writes a document along its shape and notes where secret texts lie.
struct Renderer {
  private var writer = JSONWriter(reserving: 4096)
  private var slots: [RenderedSettings.Slot] = []

  var result: RenderedSettings { RenderedSettings(json: writer.bytes, slots: slots) }

  mutating func raw(_ text: StaticString) { writer.appendRaw(text) }
  mutating func plain(_ value: JSONValue) { writer.append(value) }

  mutating func append(_ object: JSONObject, as record: Record) {
    writer.appendRaw("{")
    for (index, member) in object.members.enumerated() {
      if index > 0 { writer.appendRaw(",") }
      writer.append(member.name)
      writer.appendRaw(":")
      if let field = record.fields.first(where: { $0.name == member.name }) {
        append(member.value, as: field.shape)
      } else {
        writer.append(member.value)
      }
    }
    writer.appendRaw("}")
  }

  private mutating func append(_ value: JSONValue, as shape: Shape) {
    switch (shape, value) {
    case (.secret, .string(let text)): secret(text)
    case (.secretMap, .object(let object)): members(object) { $0.append($1.value, as: .secret) }
    case (.headerMap, .object(let object)):
      members(object) { renderer, member in
        if SecretLike.matches(member.name) { renderer.loose(member.value) } else { renderer.plain(member.value) }
      }
    case (.screened, _): screened(value, isSecret: false)
    case (.contextSecrets, .object(let object)):
      members(object) { renderer, member in
        guard let source = member.value.object else { return renderer.loose(member.value) }
        renderer.append(source, as: source["kind"] == "LookupSecret" ? SecretSources.lookup : SecretSources.fixed)
      }
    case (.list(let shape), .array(let elements)):
      self.elements(elements) { $0.append($1, as: shape) }
    case (.map(let shape), .object(let object)): members(object) { $0.append($1.value, as: shape) }
    case (.record(let record), .object(let object)): append(object, as: record)
    case (.tagged(let tag), .object(let object)):
      let name = object[tag.member]?.string
      if let variant = tag.variants.first(where: { $0.tag == name }) { append(object, as: variant.record) } else { plain(value) }
    case (.text, _), (.filledText, _), (.choice, _), (.integer, _), (.number, _), (.boolean, _), (.truthiness, _), (.secret, _),
      (.secretMap, _), (.headerMap, _), (.contextSecrets, _), (.object, _), (.list, _), (.map, _), (.record, _), (.tagged, _), (.either, _):
      plain(value)
    }
  }

  private mutating func members(_ object: JSONObject, _ body: (inout Renderer, JSONObject.Member) -> Void) {
    writer.appendRaw("{")
    for (index, member) in object.members.enumerated() {
      if index > 0 { writer.appendRaw(",") }
      writer.append(member.name)
      writer.appendRaw(":")
      body(&self, member)
    }
    writer.appendRaw("}")
  }

  private mutating func elements(_ elements: [JSONValue], _ body: (inout Renderer, JSONValue) -> Void) {
    writer.appendRaw("[")
    for (index, element) in elements.enumerated() {
      if index > 0 { writer.appendRaw(",") }
      body(&self, element)
    }
    writer.appendRaw("]")
  }

  private mutating func screened(_ value: JSONValue, isSecret: Bool) {
    switch value {
    case .object(let object):
      members(object) { $0.screened($1.value, isSecret: isSecret || SecretLike.matches($1.name)) }
    case .array(let elements): self.elements(elements) { $0.screened($1, isSecret: isSecret) }
    case .string where isSecret: loose(value)
    case .string, .null, .bool, .number: plain(value)
    }
  }

  /// An empty text is shown as one.
  private mutating func loose(_ value: JSONValue) {
    if let text = value.string, !text.utf8.isEmpty { secret(text) } else { plain(value) }
  }

  private mutating func secret(_ text: JSONString) {
    let start = writer.bytes.count
    writer.append(text)
    slots.append(.init(offset: start, count: writer.bytes.count - start))
  }
}
