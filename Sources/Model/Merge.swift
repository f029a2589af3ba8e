internal import StrictJSON

/// Merge rules of PATCH (settings spec, section 5.2).
enum Merge {
  /// JSON merge patch with one deviation: an object that is new is taken whole, nulls included.
  static func nested(_ base: JSONObject, _ diff: JSONObject) -> JSONObject {
    var result = base
    for member in diff.members {
      if member.value.isNull {
        result[member.name] = nil
      } else {
        result[member.name] = merged(result[member.name], member.value)
      }
    }
    return result
  }

  /// The same, but a null at the top is a value.
  static func keepingTopNulls(_ base: JSONObject, _ diff: JSONObject) -> JSONObject {
    var result = base
    for member in diff.members { result[member.name] = merged(result[member.name], member.value) }
    return result
  }

  private static func merged(_ old: JSONValue?, _ new: JSONValue) -> JSONValue {
    if let old = old?.object, let new = new.object { .object(nested(old, new)) } else { new }
  }

  /// Agent settings: naming another kind starts over with nothing carried along.
  static func agent(_ base: JSONObject, _ diff: JSONObject) -> (document: JSONObject, startsOver: Bool) {
    guard let kind = diff["agent_kind"], Lax.truth(kind), kind != base["agent_kind"] else { return (nested(base, diff), false) }
    return (nested(JSONObject(uniqueMembers: [.init(name: "agent_kind", value: kind)]), diff), true)
  }
}
