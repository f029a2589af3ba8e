package import StrictJSON

/// How a key is narrowed: every part only takes away (scoped spec, sections 2.1 and 5.12).
package struct KeyGrants: Sendable, Equatable {
  package var capabilities = Capabilities.all
  /// nil = every scope the agent reaches.
  package var scopes: [Scope]?
  /// nil = every secret.
  package var secretIDs: [String]?
  /// Networks the key may be used from; nil = any.
  package var networks: [Network]?
  /// Other budgets than the usual ones.
  package var rates: [RateClass: Rate] = [:]

  package init() {}

  /// Reads `capabilities`, `scopes`, `secretIds`, `cidrs` and `rateLimit`; null and absent mean no narrowing.
  package init(_ object: JSONObject) throws(Refusal) {
    if let value = Self.given(object["capabilities"]) {
      guard let known = Self.texts(value).flatMap({ Capabilities(names: $0) }) else {
        throw .invalid("/capabilities", "an array of known capabilities")
      }
      capabilities = known
    }
    if let value = Self.given(object["scopes"]) { scopes = try Self.scopes(value) }
    if let value = Self.given(object["secretIds"]) {
      guard let ids = Self.texts(value), ids.count <= 256, ids.allSatisfy(ScopedNames.isSecretID) else {
        throw .invalid("/secretIds", "an array of secret ids")
      }
      secretIDs = ids
    }
    if let value = Self.given(object["cidrs"]) {
      let found = Self.texts(value)?.map { Network($0) }
      guard let found, found.count <= 64, found.allSatisfy({ $0 != nil }) else {
        throw .invalid("/cidrs", "an array of networks, as 192.0.2.0/24")
      }
      networks = found.compactMap { $0 }
    }
    if let value = Self.given(object["rateLimit"]) { rates = try Self.rates(value) }
  }

  /// nil when it is not what `json` makes.
  package init?(stored text: String) {
    guard let object = try? JSONValue.parse(Array(text.utf8), limits: .scoped).object, let grants = try? KeyGrants(object) else {
      return nil
    }
    self = grants
  }

  package var stored: String { String(decoding: JSONValue.object(json).serialized(), as: UTF8.self) }

  package var json: JSONObject {
    var object = JSONObject()
    object["capabilities"] = .array(capabilities.names.map { .string(JSONString($0)) })
    object["scopes"] = scopes.map { .array($0.map(\.json)) } ?? .null
    object["secretIds"] = secretIDs.map { .array($0.map { .string(JSONString($0)) }) } ?? .null
    object["cidrs"] = networks.map { .array($0.map { .string(JSONString($0.text)) }) } ?? .null
    object["rateLimit"] = rates.isEmpty ? .null : Self.json(rates)
    return object
  }

  /// nil for null: a bare `nil` would be JSON's.
  private static func given(_ value: JSONValue?) -> JSONValue? {
    guard let value, !value.isNull else { return Optional.none }
    return value
  }

  private static func texts(_ value: JSONValue) -> [String]? {
    guard let array = value.array else { return nil }
    let texts = array.compactMap { $0.string?.text }
    return texts.count == array.count ? texts : nil
  }

  private static func scopes(_ value: JSONValue) throws(Refusal) -> [Scope] {
    guard let array = value.array, array.count <= 256 else { throw .invalid("/scopes", "an array of scopes") }
    var scopes: [Scope] = []
    for (index, element) in array.enumerated() {
      guard let scope = Scope(element) else { throw .invalid("/scopes/\(index)", "an object with scope and scopeId") }
      scopes.append(scope)
    }
    return scopes
  }

  private static func rates(_ value: JSONValue) throws(Refusal) -> [RateClass: Rate] {
    guard let object = value.object else { throw .invalid("/rateLimit", "an object of budgets") }
    var rates: [RateClass: Rate] = [:]
    for name in RateClass.allCases {
      guard let part = given(object[JSONString(name.rawValue)]) else { continue }
      guard let rate = part.object.flatMap(Rate.init) else {
        throw .invalid("/rateLimit/\(name.rawValue)", "an object with perSecond and burst")
      }
      rates[name] = rate
    }
    return rates
  }

  private static func json(_ rates: [RateClass: Rate]) -> JSONValue {
    .object(
      JSONObject(
        uniqueMembers: RateClass.allCases.compactMap { name in
          rates[name].map { .init(name: JSONString(name.rawValue), value: .object($0.json)) }
        }
      ))
  }
}

extension Scope {
  /// `{"scope", "scopeId"}`; nil for anything else.
  package init?(_ json: JSONValue) {
    guard let object = json.object, let kind = object["scope"]?.string.flatMap({ ScopeKind(rawValue: $0.text) }),
      let id = object["scopeId"]?.string?.text, Self.isID(id)
    else { return nil }
    self.init(kind, id)
  }

  package var json: JSONValue { ["scope": .string(JSONString(kind.rawValue)), "scopeId": .string(JSONString(id))] }
}

/// The budgets of a key (section 8).
package enum RateClass: String, Sendable, CaseIterable {
  case reads, writes, dataKeys, lists

  package var usual: Rate {
    switch self {
    case .reads: Rate(perSecond: 50, burst: 200)
    case .writes: Rate(perSecond: 10, burst: 50)
    case .dataKeys: Rate(perSecond: 20, burst: 100)
    case .lists: Rate(perSecond: 10, burst: 50)
    }
  }
}

package struct Rate: Sendable, Equatable {
  package let perSecond: Int64
  package let burst: Int64

  package init(perSecond: Int64, burst: Int64) {
    self.perSecond = perSecond
    self.burst = burst
  }

  init?(_ object: JSONObject) {
    guard let perSecond = object["perSecond"]?.number?.int64, let burst = object["burst"]?.number?.int64,
      (1...1_000_000).contains(perSecond), (1...1_000_000).contains(burst)
    else { return nil }
    self.init(perSecond: perSecond, burst: burst)
  }

  var json: JSONObject {
    JSONObject(uniqueMembers: [
      .init(name: "perSecond", value: .number(JSONNumber(perSecond))), .init(name: "burst", value: .number(JSONNumber(burst))),
    ])
  }
}
