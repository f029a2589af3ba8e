/// An object: members in the order of the source, names unique by bytes.
///
/// Small objects are searched in order; beyond `Self.indexedCount` members an index keeps a hostile document from
/// costing quadratic time.
package struct JSONObject: Sendable {
  package struct Member: Sendable, Equatable {
    package let name: JSONString
    package var value: JSONValue
    package init(name: JSONString, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  fileprivate static let indexedCount = 16

  package private(set) var members: [Member]
  private var index: [JSONString: Int]?

  package init() { members = [] }

  /// `members` must have unique names.
  package init(uniqueMembers members: [Member]) {
    self.members = members
    reindex()
  }

  package var isEmpty: Bool { members.isEmpty }
  package var count: Int { members.count }

  /// Reading gives nil for an absent member. Setting replaces in place or appends; setting nil removes.
  package subscript(name: JSONString) -> JSONValue? {
    get { position(of: name).map { members[$0].value } }
    set {
      switch (position(of: name), newValue) {
      case (let position?, let value?): members[position].value = value
      case (let position?, nil):
        members.remove(at: position)
        reindex()
      case (nil, let value?): append(Member(name: name, value: value))
      case (nil, nil): break
      }
    }
  }

  private func position(of name: JSONString) -> Int? {
    if let index { index[name] } else { members.firstIndex { $0.name == name } }
  }

  private mutating func append(_ member: Member) {
    members.append(member)
    if index != nil { index?[member.name] = members.count - 1 } else { reindex() }
  }

  private mutating func reindex() {
    guard members.count > Self.indexedCount else {
      index = nil
      return
    }
    index = Dictionary(members.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Collects the members of an object while it is parsed.
  struct Builder {
    private(set) var object = JSONObject()

    /// False when the name is there already.
    mutating func append(_ name: JSONString, _ value: JSONValue) -> Bool {
      guard object.position(of: name) == nil else { return false }
      object.append(Member(name: name, value: value))
      return true
    }
  }
}

extension JSONObject: Equatable {
  package static func == (left: JSONObject, right: JSONObject) -> Bool { left.members == right.members }
}
